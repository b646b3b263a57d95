from psycopg_pool import AsyncConnectionPool, ConnectionPool

pool = AsyncConnectionPool("postgresql://db/orders")  # found
said = AsyncConnectionPool("postgresql://db/orders", open=True)  # found
later = AsyncConnectionPool("postgresql://db/orders", open=False)
sync = ConnectionPool("postgresql://db/orders")


async def main():
    async with AsyncConnectionPool("postgresql://db/orders") as entered:
        await entered.wait()
