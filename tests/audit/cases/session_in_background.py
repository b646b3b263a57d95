import asyncio
from typing import Annotated

from fastapi import BackgroundTasks, Depends, FastAPI
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine

app = FastAPI()
Sessions = async_sessionmaker(create_async_engine("postgresql+asyncpg://db/a", pool_pre_ping=True))


async def get_session():
    async with Sessions() as session:
        yield session


Given = Annotated[AsyncSession, Depends(get_session)]


async def work(session, key):
    await session.get(Order, key)


@app.post("/background")
async def background(tasks: BackgroundTasks, session: AsyncSession = Depends(get_session)):
    tasks.add_task(work, session, 1)  # found


@app.post("/task")
async def task(session: Given):
    asyncio.create_task(work(session, 1))  # found


@app.post("/key")
async def key_only(tasks: BackgroundTasks, session: AsyncSession = Depends(get_session)):
    row = await session.get(Order, 1)
    tasks.add_task(send, row.key)


@app.post("/waited")
async def waited(session: Given):
    await work(session, 1)
