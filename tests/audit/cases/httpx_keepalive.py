import httpx
import httpx2

a = httpx.Limits(max_connections=40, max_keepalive_connections=10)  # found
b = httpx.Limits(max_connections=100)  # found

c = httpx.Limits(max_connections=40, max_keepalive_connections=40)
d = httpx.Limits(max_connections=40, max_keepalive_connections=None)
e = httpx.Limits(max_connections=20)
f = httpx.Limits(max_connections=size, max_keepalive_connections=10)
g = httpx.Limits(max_keepalive_connections=10)
h = httpx2.Limits(max_connections=40, max_keepalive_connections=10)
