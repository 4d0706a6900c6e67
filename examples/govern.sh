#!/bin/sh
# Puts an agent that exists under governance: from a fresh installation to the two settings that the agent needs.
#
#   sh examples/govern.sh <administrator's key> [server]
#
# AGENT, MODEL and TENANT say what to create. It needs curl, and nothing that you could not do by hand: each call is
# one of the REST API, which the server describes at /openapi.json.
#
# A version is published only when somebody other than its author approves. Here one person plays both parts, with two
# keys; the ledger shows who did what, and who made which key. In earnest, give the author's key to a colleague.
set -eu

admin=${1:?"usage: sh examples/govern.sh <administrator's key> [server]"}
server=${2:-http://127.0.0.1:8070}
tenant=${TENANT:-acme}
agent=${AGENT:-Support agent}
model=${MODEL:-gpt-4o-mini}

# call <key> <method> <path> [body]: prints the answer, or the problem and stops.
call() {
    if ! answer=$(curl -s --fail-with-body -X "$2" "$server$3" -H "authorization: Bearer $1" \
        -H 'content-type: application/json' -d "${4-}"); then
        printf '%s %s: %s\n' "$2" "$3" "${answer:-no answer from $server}" >&2
        return 1
    fi
    printf '%s' "$answer"
}

# field <name>: the first text field of that name in the answer that is read. Fails without one, and the script with it.
field() {
    value=$(grep -o "\"$1\":\"[^\"]*\"" | head -n 1 | cut -d '"' -f 4)
    test -n "$value" && printf '%s' "$value"
}

# A tenant, whose first administrator approves. Nobody approves their own work, nor with a key that its author made.
reviewer=$(call "$admin" POST /api/v1/admin/tenants "{\"id\": \"$tenant\", \"name\": \"$tenant\", \"admin\": \"reviewer\"}" | field secret)

# Somebody else, who is the author.
author_id=$(call "$reviewer" POST /api/v1/admin/users '{"username": "author", "roles": ["admin"]}' | field id)
author=$(call "$reviewer" POST /api/v1/admin/api-keys "{\"user_id\": \"$author_id\", \"name\": \"first key\"}" | field secret)

# The agent and its first version: what is said here binds every call; what is not said stays as the agent sends it.
agent_id=$(call "$author" POST /api/v1/agents "{\"name\": \"$agent\"}" | field id)
versions=/api/v1/agents/$agent_id/versions
version=$(call "$author" POST "$versions" "{\"number\": \"1.0.0\", \"definition\": {\"model\": \"$model\"}}" | field id)
review=$(call "$author" POST "$versions/$version/submit" | field approval_id)
call "$reviewer" POST "/api/v1/approvals/$review/approve" >/dev/null
call "$author" POST "$versions/$version/publish" >/dev/null

# A key that can do one thing: run this agent.
key=$(call "$author" POST /api/v1/admin/api-keys "{\"user_id\": \"$author_id\", \"name\": \"$agent\", \"scopes\": [\"agent:execute\"], \"agent_id\": \"$agent_id\"}" | field secret)

cat <<END
# The agent $agent_id is published. Keep these two keys of the tenant $tenant:
#   reviewer, its first administrator  $reviewer
#   author                             $author
# All that the agent needs to know:
export OPENAI_BASE_URL=$server/v1
export OPENAI_API_KEY=$key
END
