// Prints every result of an operation by urql over HTTP: node urql.js URL QUERY.
import { Client, fetchExchange } from "@urql/core";

const [url, query] = process.argv.slice(2);
const client = new Client({ url, exchanges: [fetchExchange], fetchSubscriptions: true, preferGetMethod: false });
const kind = query.trimStart().split(/\W/)[0];
const results = kind === "subscription" ? client.subscription(query, {}) : client.query(query, {});
const print = ({ data, error }) => console.log(JSON.stringify({ data, error: error?.message }));
// At the end of a stream urql repeats the last result.
if (kind === "subscription") results.subscribe((result) => result.hasNext && print(result));
else print(await results.toPromise());
