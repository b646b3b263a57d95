import aiohttp
import httpx


class Catalogue:
    def __init__(self):
        self.session = aiohttp.ClientSession()
        self.client = httpx.AsyncClient()

    async def exists(self, url):
        response = await self.session.get(url)  # found
        return response.status == 200

    async def status(self, url):
        return (await self.session.head(url)).status  # found

    async def forget(self, url):
        await self.session.post(url)  # found

    async def first(self, url):
        request = self.client.build_request("GET", url)
        response = await self.client.send(request, stream=True)  # found
        async for line in response.aiter_lines():
            return line

    async def read(self, url):
        response = await self.session.get(url)
        return await response.json()

    async def entered(self, url):
        response = await self.session.get(url)
        async with response:
            return response.status

    async def by_with(self, url):
        async with self.session.get(url) as response:
            return response.status

    async def given_out(self, url):
        return await self.session.get(url)

    async def httpx_reads(self, url):
        return (await self.client.get(url)).status_code

    async def closed(self, request):
        response = await self.client.send(request, stream=True)
        try:
            return response.status_code
        finally:
            await response.aclose()

    async def close(self):
        await self.session.close()
        await self.client.aclose()
