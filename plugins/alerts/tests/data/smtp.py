"""A mail server for tests: prints its port, then each mail it gets as a line of JSON. Whom it knows depends on the name."""
import asyncio
import json
import sys
from aiosmtpd.smtp import SMTP, AuthResult

seen = set()

class Handler:
    async def handle_RCPT(self, server, session, envelope, address, options):
        if address.startswith("grey@") and address not in seen:
            seen.add(address)
            return "451 4.7.1 Come again"
        if address.startswith("no@"):
            return f"550 5.1.1 <{address}>: Nobody is called so"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        login = session.auth_data or {}
        mail = {"from": envelope.mail_from, "to": envelope.rcpt_tos, "login": login, "text": envelope.content.decode()}
        print(json.dumps(mail), flush=True)
        return "250 OK"

def authenticate(server, session, envelope, mechanism, data):
    name, password = data.login.decode(), data.password.decode()
    if (name, password) == ("city", "tickscope-alerts"):
        return AuthResult(success=True, auth_data={"name": name, "mechanism": mechanism})
    return AuthResult(success=False, handled=False)

async def main():
    loop = asyncio.get_running_loop()
    options = {"hostname": "localhost", "authenticator": authenticate, "auth_require_tls": False}
    server = await loop.create_server(lambda: SMTP(Handler(), loop=loop, **options), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)

asyncio.run(main())
