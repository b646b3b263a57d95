import asyncio
from multiprocessing import Process

import aiohttp
from celery import shared_task
from sqlalchemy import create_engine, text
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.pool import NullPool

engine = create_async_engine("postgresql+asyncpg://db/orders", pool_pre_ping=True)  # found
Sessions = async_sessionmaker(engine)
unpooled = create_async_engine("postgresql+asyncpg://db/orders", poolclass=NullPool)
sync = create_engine("postgresql://db/orders", pool_pre_ping=True)  # found
served = create_async_engine("postgresql+asyncpg://db/orders", pool_pre_ping=True)


async def count():
    async with Sessions() as session:
        return (await session.execute(text("select 1"))).scalar_one()


async def count_unpooled():
    async with unpooled.connect() as connection:
        return (await connection.execute(text("select 1"))).scalar_one()


@shared_task
def report():
    return asyncio.run(count())


@shared_task
def report_unpooled():
    return asyncio.run(count_unpooled())


def child():
    with sync.connect() as connection:
        connection.execute(text("select 1"))


def start():
    Process(target=child).start()


async def serve():
    async with served.connect() as connection:
        await connection.execute(text("select 1"))


def main():
    asyncio.run(serve())
