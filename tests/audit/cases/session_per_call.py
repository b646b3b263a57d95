from contextlib import asynccontextmanager

import aiohttp
import httpx
from aiohttp import web
from fastapi import FastAPI

app = FastAPI()


async def fetch(url):
    async with aiohttp.ClientSession() as session:  # found
        async with session.get(url) as reply:
            return await reply.text()


async def fetch_httpx(url):
    async with httpx.AsyncClient(timeout=5) as client:  # found
        reply = await client.post(url)
    return reply.json()


@app.get("/orders")
async def orders():
    async with httpx.AsyncClient() as client:  # found
        first = await client.get("http://a.internal/")
        second = await client.get("http://b.internal/")
    return first, second


async def handler(request: web.Request):
    async with aiohttp.ClientSession() as session:  # found
        async with session.get("http://a.internal/") as reply:
            return web.Response(text=await reply.text())


async def fetch_all(urls):
    for url in urls:
        async with aiohttp.ClientSession() as session:  # found
            await session.get(url)


async def one_for_all(urls):
    async with aiohttp.ClientSession() as session:
        for url in urls:
            await session.get(url)


async def handed_on(urls):
    async with aiohttp.ClientSession() as session:
        return await asyncio.gather(*[get(session, url) for url in urls])


@asynccontextmanager
async def lifespan(app):
    async with httpx.AsyncClient() as app.state.client:
        yield


@asynccontextmanager
async def given_out():
    async with httpx.AsyncClient() as client:
        yield client


class Api:
    async def __aenter__(self):
        self.session = aiohttp.ClientSession()
        return self

    async def __aexit__(self, *_):
        await self.session.close()

    async def get(self, url):
        if not self.session:
            async with aiohttp.ClientSession() as session:
                await session.get(url)

    async def post(self, url, session=None):
        own = session is None
        if own:
            session = aiohttp.ClientSession()
        try:
            await session.post(url)
        finally:
            if own:
                await session.close()


async def main():
    async with aiohttp.ClientSession() as session:
        await session.get("http://a.internal/")


async def test_something():
    async with httpx.AsyncClient() as client:
        assert (await client.get("/")).status_code == 200
