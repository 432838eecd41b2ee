// Package losstest tests implementations of loss.Loss. [TestLoss] compares the gradient with central differences and
// checks the rest of the contract:
//
//	func TestMyLoss(t *testing.T) {
//		if err := losstest.TestLoss(t.Context(), MyLoss{}); err != nil {
//			t.Fatal(err)
//		}
//	}
//
// [Cases] and [RandomRow] return the rows of the checks.
package losstest
