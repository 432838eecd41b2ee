// Package losstest checks a loss.Loss. [TestLoss] compares its gradient with central differences and checks the rest of
// the interface's contract, which is all that a test of your own loss needs:
//
//	func TestMyLoss(t *testing.T) {
//		if err := losstest.TestLoss(t.Context(), MyLoss{}); err != nil {
//			t.Fatal(err)
//		}
//	}
//
// [Cases] and [RandomRow] make the rows of the checks.
package losstest
