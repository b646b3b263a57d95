import asyncpg
import httpx
from fastapi import Depends, FastAPI
from openai import AsyncOpenAI
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine

app = FastAPI()
engine = create_async_engine("postgresql+asyncpg://db/orders", pool_pre_ping=True)
Sessions = async_sessionmaker(engine)
partner = httpx.AsyncClient()
model = AsyncOpenAI()


async def get_session():
    async with Sessions() as session:
        yield session


async def plain(pool: asyncpg.Pool):
    async with pool.acquire(timeout=1) as connection:
        found = await partner.get("/")  # found
        await connection.execute(found.text)


async def by_session(key):
    async with Sessions() as session:
        row = await session.get(Order, key)
        await partner.post("/", json=row)  # found
        await session.commit()


async def ask(what):
    return await model.chat.completions.create(messages=what)


async def one_call_away(key):
    async with Sessions() as session:
        row = await session.get(Order, key)
        row.answer = await ask(row.text)  # found


@app.post("/orders")
async def order(session: AsyncSession = Depends(get_session)):
    row = await load(session)
    await partner.post("/", json=row)  # found


async def not_used_yet(key):
    async with Sessions() as session:
        found = await partner.get("/")
        await session.get(Order, found.text)


async def committed_before(key):
    async with Sessions() as session:
        row = await session.get(Order, key)
        await session.commit()
        await partner.post("/", json=row)


async def after(pool: asyncpg.Pool):
    async with pool.acquire(timeout=1) as connection:
        row = await connection.fetchrow("select 1")
    await partner.post("/", json=row)


async def a_client_holds_another():
    async with httpx.AsyncClient() as client:
        token = await partner.get("/token")
        await client.get("/", headers=token)
