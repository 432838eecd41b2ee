// Package encodertest helps to test encoders and code that uses an encoder.
//
// [Encoder] is a small trainable encoder in pure Go: the mean of hashed word embeddings and one layer with tanh. It is
// not pretrained, but it learns, is deterministic and implements every interface of package encoder. Use it to test a
// pipeline quickly and without LibTorch.
//
// [TestEncoder] checks the contract of encoder.Trainable, which every implementation must keep:
//
//	func TestMyEncoder(t *testing.T) {
//		open := func() (encoder.Trainable, error) { return myencoder.Open("testdata/tiny") }
//		if err := encodertest.TestEncoder(t.Context(), open, encodertest.Tolerances{}); err != nil {
//			t.Fatal(err)
//		}
//	}
//
// [TestEncode] checks the contract of encoder.Encoder alone, for a model that cannot be trained.
package encodertest
