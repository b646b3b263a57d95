import ssl

import aiohttp
import httpx

connector = aiohttp.TCPConnector(ssl=False)  # found
old = aiohttp.TCPConnector(verify_ssl=False)  # found
client = httpx.AsyncClient(verify=False)  # found


async def get(session: aiohttp.ClientSession, url):
    await session.get(url, ssl=False)  # found
    await session.get(url)
    await session.get(url, ssl=ssl.create_default_context())


checked = aiohttp.TCPConnector(ssl=True)
own = httpx.AsyncClient(verify=ssl.create_default_context())
other = something.get("a", ssl=False)


async def unchecked(session: aiohttp.ClientSession, url):
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # found
    await session.get(url, ssl=context)


def of_a_socket():
    context = ssl.create_default_context()
    context.verify_mode = ssl.CERT_NONE
    return context.wrap_socket(sock)


wrong = httpx.AsyncClient(verify=ssl._create_unverified_context())  # found
