// Package httpretry sends requests to a paid or busy JSON API and returns a whole answer or a clear error. The clients
// of language models and rerankers share it.
//
// What is retried is the whole unit: connecting, sending, reading the body to its end, and checking that it is JSON.
// After 408, 409, 425, 429, 5xx except 501, a connection that breaks, an attempt that takes too long, a body that is
// cut short and one that is not JSON, [Client.Do] waits and tries again. The waits grow exponentially with full
// jitter (uniform between 0 and twice the last limit:
// https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/), and last at least as long as the
// server's Retry-After says (RFC 9110, section 10.2.3), which holds for all requests of the client. Everything else
// is final: a [StatusError] with what the server said.
//
// The key is read from the environment and goes into the Authorization header only. No error or log line holds it, even
// where the server sends it back. Answers come as the server sent them: what makes an error of one uses
// [Client.Message], [Client.Cut] or [Client.Redact]. An answer that holds the key itself is an error, so that the key
// reaches no file.
package httpretry
