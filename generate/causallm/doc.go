// Package causallm is a language model that runs here, on LibTorch: decoder-only networks of Llama 2 and 3,
// SmolLM2, Qwen2, Qwen2.5, Qwen3 and Gemma 1 to 3, read from a Hugging Face folder or a GGUF file. It writes text
// (generate.Completer) and says how likely a text is (teacher/likelihood).
//
//	model, err := causallm.Open(ctx, "SmolLM2-135M-Instruct.Q4_1.gguf", causallm.Options{})
//	...
//	defer model.Close()
//	generator, err := generate.NewPrompted(model, generate.PromptOptions{})
//
// # What is computed once
//
// The keys and values of a prompt's shared part (generate.Prompt.Prefix, or the turns before the passage in the chat
// form) are computed once, kept for the next calls, and read by all rows of a batch. What follows it, the
// passage, is computed in batches of similar length; then all rows write their next token together, and a row that is
// done leaves the batch.
//
// # Quantised weights
//
// A GGUF file may have Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q2_K to Q6_K, IQ4_NL and IQ4_XS beside F32, F16 and BF16. On the
// CPU quantised matrices stay in the mapped file. On a processor with AVX2 they are multiplied in integers: a row of
// input is rounded to 16 bits with a scale for each 256 values (llama.cpp rounds to 8). Elsewhere, and in a matrix
// joined from quantised and other parameters, some rows at a time are dequantised for LibTorch. A GPU gets dequantised
// weights.
//
// # What an answer depends on
//
// The next token is drawn on the host, from a generator that the request's own seed starts, so nothing of what is
// beside a request in a batch enters its answer but rounding: LibTorch sums in another order for another shape of
// batch. Another token comes out only where the best two are equal up to that (a token is drawn by the largest of
// logit/temperature + noise); everything behind it differs then. That is rare in fp32 and less so in bf16, whose
// logits are a thousand times coarser. On one machine the same calls give the same answers.
//
// In a program built without LibTorch, Open returns retort.ErrNoLibTorch once it has read the model's description.
package causallm
