"""Asks semper for a variant by the protocol of OpenFeature, and tells what the user did: python3 flag.py u-42

It needs METRICS_URL and METRICS_TOKEN. A worker or a server that no request of the user comes to does it so. With an SDK of
OpenFeature the provider is "OFREP", its base URL is METRICS_URL, and its header Authorization: Bearer METRICS_TOKEN.
"""
import json
import os
import sys
import urllib.error
import urllib.request
import uuid


def post(path, body):
    request = urllib.request.Request(
        os.environ["METRICS_URL"] + path, json.dumps(body).encode(),
        {"Content-Type": "application/json", "Authorization": "Bearer " + os.environ["METRICS_TOKEN"]},
    )
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as e:
        return json.load(e)
    except OSError as e:
        return {"errorCode": "GENERAL", "errorDetails": str(e)}


def variant(flag, user, default):
    """The user's variant; default where there is none: OpenFeature evaluation never fails."""
    answer = post(f"/ofrep/v1/evaluate/flags/{flag}", {"context": {"targetingKey": user}})
    if "errorCode" in answer:
        print(f"{answer['errorCode']}: {answer.get('errorDetails', '')}", file=sys.stderr)
    return answer.get("value", default)


def track(event, user, value=1, id=None):
    """A tracking event: its name is the metric, its targeting key the user."""
    return post("/v1/experiments/metrics", {"values": [
        {"id": id or str(uuid.uuid4()), "metric": event, "targeting_key": user, "value": value},
    ]})


def main():
    user = sys.argv[1]
    print(f"{user} has {variant('checkout', user, default='control')}")
    print("order:", track("order", user, id="order-of-" + user))
    print("and again:", track("order", user, id="order-of-" + user))


if __name__ == "__main__":
    main()
