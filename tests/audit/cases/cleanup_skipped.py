from contextlib import asynccontextmanager, contextmanager

from sqlalchemy import create_engine
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import Session, sessionmaker

engine = create_engine("postgresql://db/orders", pool_pre_ping=True)
Sessions = sessionmaker(engine)


def get_session():
    session = Session(engine)
    yield session  # found
    session.close()


@contextmanager
def session_scope():
    session = Sessions()
    try:
        yield session  # found
        session.commit()
        session.close()
    except ValueError:
        session.rollback()


@asynccontextmanager
async def with_engine():
    own = create_async_engine("postgresql+asyncpg://db/orders", pool_pre_ping=True)
    async with AsyncSession(own) as session:
        yield session  # found
    await own.dispose()


def safe():
    session = Session(engine)
    try:
        yield session
    finally:
        session.close()


def by_with():
    with Session(engine) as session:
        yield session


def handed_on():
    session = Session(engine)
    try:
        yield session
        session.commit()
    except BaseException:
        session.close()
        raise


def no_session():
    found = open("file")
    yield found
    found.close()
