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


class Brought:
    def __init__(self, client=None):
        self.client = client
        self.token = None

    async def page(self, client, url):
        return await client.get(url)

    async def pages(self, client, urls):
        return [await client.get(url) for url in urls]

    async def first(self):
        async with httpx.AsyncClient() as client:  # found
            return await self.page(client, "/1")

    async def all(self, urls):
        async with httpx.AsyncClient() as client:
            return await self.pages(client, urls)

    async def classify(self, text):
        if self.client is not None:
            return await self.client.post("/", json=text)
        async with httpx.AsyncClient() as client:  # found
            return await client.post("/", json=text)

    async def either(self, url, tls):
        if tls:
            async with aiohttp.ClientSession() as session:  # found
                await session.get(url)
        else:
            async with aiohttp.ClientSession() as session:  # found
                await session.post(url)
                await session.get(url)

    async def access_token(self):
        if self.token is not None and self.token.is_fresh:
            return self.token
        async with httpx.AsyncClient() as client:
            self.token = (await client.post("/token")).json()
        return self.token


def latest():
    with httpx.Client() as client:
        return client.get("/latest").json()


def check(cache):
    if (version := cache.read()) is None:
        version = latest()
    return version


async def load():
    global CATALOGUE
    async with httpx.AsyncClient() as client:
        CATALOGUE = (await client.get("/catalogue")).json()
