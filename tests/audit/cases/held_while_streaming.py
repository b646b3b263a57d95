from fastapi import Depends, FastAPI
from fastapi.responses import StreamingResponse
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine

app = FastAPI()
engine = create_async_engine("postgresql+asyncpg://db/orders", pool_pre_ping=True)
Sessions = async_sessionmaker(engine)


async def get_session():
    async with Sessions() as session:
        yield session


async def rows_of(session):
    async for row in await session.stream(text("select 1")):
        yield row


async def own():
    async with Sessions() as session:  # found
        async for row in await session.stream(text("select 1")):
            yield row


async def brief():
    async with Sessions() as session:
        rows = (await session.execute(text("select 1"))).all()
    for row in rows:
        yield row


@app.get("/closure")
async def closure(session: AsyncSession = Depends(get_session)):
    async def stream():
        yield (await session.execute(text("select 1"))).scalar_one()

    return StreamingResponse(stream())  # found


@app.get("/argument")
async def argument(session: AsyncSession = Depends(get_session)):
    return StreamingResponse(rows_of(session))  # found


@app.get("/own")
async def of_its_own():
    return StreamingResponse(own())


@app.get("/brief")
async def of_brief():
    return StreamingResponse(brief())


@app.get("/read")
async def read_before(session: AsyncSession = Depends(get_session)):
    rows = (await session.execute(text("select 1"))).all()

    async def stream():
        for row in rows:
            yield row

    return StreamingResponse(stream())
