// Package encodertest is for tests of code that uses an encoder, and of encoders.
//
// [Encoder] is a small trainable encoder in pure Go: hashed words, their mean, one layer with tanh. It knows no language,
// but it learns, is deterministic, and implements every interface of package encoder, so that a pipeline can be tested on
// a machine without LibTorch in milliseconds.
//
// [TestEncoder] checks the contract of encoder.Trainable, which every implementation must keep:
//
//	func TestMyEncoder(t *testing.T) {
//		open := func() (encoder.Trainable, error) { return myencoder.Open("testdata/tiny") }
//		if err := encodertest.TestEncoder(t.Context(), open, encodertest.Tolerances{}); err != nil {
//			t.Fatal(err)
//		}
//	}
package encodertest
