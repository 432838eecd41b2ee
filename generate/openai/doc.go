// Package openai asks language models behind OpenAI-compatible HTTP APIs (OpenAI, OpenRouter, vLLM, llama.cpp,
// Ollama, ...) for completions: a [generate.Completer] for [generate.Prompted].
//
// A [Client] retries what may pass (429, 5xx, broken connections, cut or malformed answers) with exponential waits,
// full jitter and the server's Retry-After, keeps to limits of concurrency, rate and number, and counts tokens and
// money ([Client.Usage]). What a model refuses to answer is an error of that request alone. Call [Client.Check]
// before a long run: it finds a wrong address, key or model with one request.
//
// The API key is read from an environment variable and sent to that server only. No error, log line or file holds it.
//
// Put [generate.Recorded] around a Client, so that a run that is killed or repeated pays for no answer twice.
package openai
