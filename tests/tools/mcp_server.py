"""A little MCP server for the tests: on its standard input and output, or on HTTP.

python mcp_server.py                 stdio
python mcp_server.py http FD TOKEN   streamable HTTP at /mcp, for those who have the token
"""

from __future__ import annotations

import os
import socket
import sys
from typing import Any

import anyio
from mcp.server.mcpserver import Context, Image, MCPServer
from mcp.server.mcpserver.exceptions import ToolError

server = MCPServer("little", log_level="WARNING")


@server.tool()
def echo(text: str) -> str:
    """Say it again."""
    return text


@server.tool(structured_output=True)
def add(a: int, b: int) -> dict[str, int]:
    """Add two whole numbers."""
    return {"sum": a + b}


@server.tool()
async def slow(ctx: Context[Any, Any]) -> str:
    """Do two steps, then wait until cancelled."""
    await ctx.report_progress(1, 4, "one")
    await ctx.report_progress(2, 4, "two")
    try:
        await anyio.sleep_forever()
    finally:
        print("slow was cancelled", file=sys.stderr, flush=True)
    return "never"


@server.tool()
def fails() -> str:
    """Fail."""
    raise ToolError("the bridge is up")


@server.tool()
def dies() -> str:
    """End the whole server."""
    os._exit(3)


@server.tool()
def picture() -> Image:
    """Show something."""
    return Image(data=b"\x89PNG" * 1000, format="png")


@server.tool()
def environment() -> str:
    """Name the variables of the environment."""
    return " ".join(sorted(os.environ))


@server.tool()
async def learn(ctx: Context[Any, Any]) -> str:
    """Offer one more tool."""
    server.add_tool(echo, name="echo_again")
    await ctx.session.send_tool_list_changed()
    return "learnt"


def serve_http(listening: int, token: str) -> None:
    """Serve on a socket that listens already, so that nobody has to wait for us."""
    import uvicorn
    from starlette.types import ASGIApp, Receive, Scope, Send

    app: ASGIApp = server.streamable_http_app()

    async def guarded(scope: Scope, receive: Receive, send: Send) -> None:
        headers = dict(scope.get("headers", ()))
        if scope["type"] == "http" and headers.get(b"authorization") != f"Bearer {token}".encode():
            await send({"type": "http.response.start", "status": 401, "headers": []})
            await send({"type": "http.response.body"})
        else:
            await app(scope, receive, send)

    config = uvicorn.Config(guarded, log_level="error")
    uvicorn.Server(config).run(sockets=[socket.socket(fileno=listening)])


if __name__ == "__main__":
    if sys.argv[1:2] == ["http"]:
        serve_http(int(sys.argv[2]), sys.argv[3])
    else:
        server.run("stdio")
