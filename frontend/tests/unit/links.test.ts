import { expect, test } from "vitest";
import { isSafeLink } from "../../src/ui/links";

test.each(["http://host/logs", "https://host:8443/a?b=c#d", "HTTPS://HOST", " https://host/ "])(
  "%j may become a link",
  (uri) => {
    expect(isSafeLink(uri)).toBe(true);
  },
);

test.each([
  ...[
    "javascript:alert(1)",
    " JavaScript:alert(1)",
    "java\nscript:alert(1)",
    "vbscript:x",
    "blob:https://host/x",
  ],
  ...["data:text/html,<script>alert(1)</script>", "file:///etc/passwd", "ftp://host/", "s3://bucket/key"],
  ...["//host/path", "/logs", "host/logs", "logs", "", "https://", "http:"],
])("%j stays text", (uri) => {
  expect(isSafeLink(uri)).toBe(false);
});
