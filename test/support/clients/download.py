"""Downloads one file as koji's tools do: download.py requests|urllib URL FILE."""

import shutil
import sys
import urllib.request


def with_requests(url, path):
    import requests
    from requests.adapters import HTTPAdapter
    from urllib3.util.retry import Retry

    session = requests.Session()
    session.trust_env = False
    retry = Retry(total=3, backoff_factor=0.2, status_forcelist=[408, 429, 500, 502, 504])
    session.mount("http://", HTTPAdapter(max_retries=retry))
    with session.get(url, stream=True, timeout=20) as response:
        response.raise_for_status()
        length = int(response.headers.get("Content-Length") or 0)
        position = 0
        with open(path, "wb") as target:
            for part in response.iter_content(chunk_size=1024 * 1024):
                target.write(part)
                position += len(part)
    if length and position != length:
        sys.exit(f"downloaded {position} bytes of {length}")


def with_urllib(url, path):
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(url, timeout=20) as response, open(path, "wb") as target:
        shutil.copyfileobj(response, target)


{"requests": with_requests, "urllib": with_urllib}[sys.argv[1]](*sys.argv[2:])
