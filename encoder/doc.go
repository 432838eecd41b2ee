// Package encoder defines what Retort asks of a dense retriever: [Encoder] turns texts into vectors, and [Trainable] can
// be taught. Package encoder/bert holds the real one, on LibTorch; package encoder/encodertest a small one in pure Go and
// the contract test that every implementation must pass.
package encoder
