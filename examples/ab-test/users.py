"""Visits the shop as so many users: python3 users.py http://localhost:8080/ab-test 2000

Each sees the checkout, and some buy: 10 of 100 who see the grey button, 20 of 100 who see the green one. That is what the
experiment has to find out.
"""
import http.client
import json
import random
import sys
import urllib.parse


def visit(shop, path, user):
    fields = {"Cookie": f"uid=u{user}", "User-Agent": "Mobile" if user % 3 == 0 else "Desktop"}

    def ask(method, below="", body=None):
        shop.request(method, path + below, json.dumps(body) if body else None, fields)
        answer = shop.getresponse()
        text = answer.read().decode()
        if answer.status != 200:
            raise SystemExit(f"{method} {path + below}: {answer.status} {text}")
        return text

    green = "green" in ask("GET")
    if random.random() < (0.2 if green else 0.1):
        ask("POST", "/buy", {"total": round(random.lognormvariate(3, 0.5), 2)})
        if random.random() < 0.05:
            ask("POST", "/refund")
    return green


def main():
    url, users = urllib.parse.urlsplit(sys.argv[1]), int(sys.argv[2])
    shop = http.client.HTTPConnection(url.netloc, timeout=30)
    green = sum(visit(shop, url.path, user) for user in range(users))
    print(f"{users} users: {green} saw the green button, {users - green} the grey one")


if __name__ == "__main__":
    main()
