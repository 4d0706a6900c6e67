#!/usr/bin/env python3
"""Put an agent under governance: tenant, author, administrator, version, approval, key. Standard library only.

    TASKFORCE_KEY=tfk_... python3 examples/govern.py --tenant acme --agent "Support" --model gpt-4o-mini

TASKFORCE_KEY is the platform administrator's key, which `taskforce init` showed once. What is printed at the end is
the key that the agent uses instead of its model server's, and the base URL that it uses instead of its server's.
"""

import argparse
import json
import os
import sys
import urllib.error
import urllib.request


def main() -> None:
    arguments = parse()
    url = arguments.url.rstrip("/")

    def call(key: str, method: str, path: str, body: dict | None = None) -> dict:
        request = urllib.request.Request(
            f"{url}/api/v1{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"authorization": f"Bearer {key}", "content-type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            sys.exit(f"{method} {path}: {error.read().decode()}")
        except urllib.error.URLError as error:
            sys.exit(f"no server at {url}: {error.reason} (start one with `taskforce serve`)")

    # The platform's key makes the tenant and its first administrator, and sees nothing inside.
    platform = os.environ.get("TASKFORCE_KEY") or sys.exit("set TASKFORCE_KEY to the platform administrator's key")
    names = {"id": arguments.tenant, "name": arguments.tenant, "admin": "admin"}
    admin = call(platform, "POST", "/admin/tenants", names)["key"]["secret"]

    # Nobody approves their own work, so a second account writes the version: here, the one that your CI would use.
    author = {"kind": "service", "username": "author", "roles": ["agent_designer", "operator"]}
    author_id = call(admin, "POST", "/admin/users", author)["id"]
    writer = call(admin, "POST", "/admin/keys", {"user_id": author_id, "name": "author"})["secret"]

    agent_id = call(writer, "POST", "/agents", {"name": arguments.agent})["id"]
    definition = {"model": arguments.model, "parameters": {"max_tokens": arguments.max_tokens}}
    version = {"number": "1.0.0", "definition": definition, "changelog": "First governed version"}
    version_id = call(writer, "POST", f"/agents/{agent_id}/versions", version)["id"]
    review_id = call(writer, "POST", f"/agents/{agent_id}/versions/{version_id}/submit")["approval_id"]
    call(admin, "POST", f"/approvals/{review_id}/approve", {"comment": "First version"})
    call(admin, "POST", f"/agents/{agent_id}/versions/{version_id}/publish")

    bound = {"user_id": author_id, "name": arguments.agent, "scopes": ["agent:execute"], "agent_id": agent_id}
    key = call(admin, "POST", "/admin/keys", bound)["secret"]
    print(f"administrator's key   {admin}")
    print(f"agent                 {agent_id}")
    print("\nrun your agent with\n")
    print(f"  export OPENAI_BASE_URL={url}/v1")
    print(f"  export OPENAI_API_KEY={key}")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Put an agent under governance.")
    parser.add_argument("--url", default="http://127.0.0.1:8070", help="where Taskforce listens (%(default)s)")
    parser.add_argument("--tenant", default="acme", help="a new tenant (%(default)s)")
    parser.add_argument("--agent", default="My agent", help="the agent's name (%(default)s)")
    parser.add_argument("--model", required=True, help="the model that the agent uses, such as gpt-4o-mini")
    parser.add_argument("--max-tokens", type=int, default=1024, help="the longest answer, in tokens (%(default)s)")
    return parser.parse_args()


if __name__ == "__main__":
    main()
