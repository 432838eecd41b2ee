// Package rerankapi is a teacher behind an HTTP API: a cross-encoder that text-embeddings-inference, vLLM, llama.cpp,
// Cohere or Jina serves.
//
// One [Client] speaks all of their protocols (see [Kind]). Lists longer than a server takes are sent in parts. What
// may pass (429, 5xx, broken connections, cut or malformed answers) is retried with exponential waits, full jitter
// and the server's Retry-After, under limits of concurrency, rate and number. Scores are mapped back by their index,
// and an answer with another number of scores than documents, an index that is missing, twice or out of range, or
// something else than numbers is an error: a wrong score never gets through.
//
// A passage that is too long for the server's model has no score (NaN), which teacher.Score takes for the lowest
// of its list. The client finds it by cutting the request in halves, names it in the log and counts it ([Client.Refused]).
// Where many passages are too long scoring ends with an error: set [Options].Truncate.
//
// The API key is read from an environment variable and sent to that server only. No error or log line holds it. Put
// teacher.Cached around a Client, so that no score is paid for twice.
package rerankapi
