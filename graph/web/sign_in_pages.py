"""HTML of the sign-in and sign-out pages. They have no scripts and load nothing from other hosts."""

from html import escape

from starlette.responses import HTMLResponse

_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'",
}

_PAGE = """\
<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8" />
    <meta name="viewport" content="width=device-width, initial-scale=1" />
    <meta name="color-scheme" content="light dark" />
    <title>{title} · Rungraph</title>
    <link rel="icon" type="image/svg+xml" href="{base}graphiql/favicon.svg" />
    <link rel="stylesheet" href="{base}login/style.css" />
  </head>
  <body>
    <main>
      <p class="brand"><img src="{base}graphiql/favicon.svg" alt="" width="28" height="28" />Rungraph</p>
      <h1>{title}</h1>
{content}
    </main>
  </body>
</html>
"""

_FORM = """\
      <form method="post" action="{base}login">
        <input type="hidden" name="return_to" value="{return_to}" />
        <label for="token">API token</label>
        <input type="password" id="token" name="token" required autofocus autocomplete="off" maxlength="255"
          spellcheck="false"{described} />
{error}\
        <button>Sign in</button>
      </form>"""


def token_form(base: str, return_to: str, error: str = "", status: int = 200) -> HTMLResponse:
    """The form for an API token, with the error of the last attempt. `base` is the relative path to the
    application."""
    form = _FORM.format(
        base=escape(base),
        return_to=escape(return_to),
        described=' aria-invalid="true" aria-describedby="error"' if error else "",
        error=f'        <p class="error" id="error" role="alert">{escape(error)}</p>\n' if error else "",
    )
    return _page(base, "Sign in", form, status)


def message_page(base: str, title: str, text: str, links: dict[str, str], status: int = 200) -> HTMLResponse:
    """A page with a text, and links by their labels."""
    paragraph = f"      <p>{escape(text)}</p>\n" if text else ""
    buttons = "\n".join(
        f'      <a class="button" href="{escape(url)}">{escape(label)}</a>' for label, url in links.items()
    )
    return _page(base, title, paragraph + buttons, status)


def _page(base: str, title: str, content: str, status: int) -> HTMLResponse:
    html = _PAGE.format(base=escape(base), title=escape(title), content=content)
    return HTMLResponse(html, status, headers=_HEADERS)
