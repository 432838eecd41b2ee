// Package encoder defines the interfaces of a dense retriever: an [Encoder] turns texts into vectors, and a [Trainable]
// can be trained as well. Package encoder/transformer implements them for BERT and the families after it. Package
// encoder/encodertest has a small encoder in pure Go for tests, and the contract test that every implementation must pass.
package encoder
