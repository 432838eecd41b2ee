// Package losstest checks a loss.Loss: its gradient against central differences ([CheckGradient]) and the whole contract
// of the interface ([CheckContract]), which is all that a test of your own loss needs:
//
//	func TestMyLoss(t *testing.T) { losstest.CheckContract(t, MyLoss{}) }
//
// [Cases] and [RandomRow] make the rows that it does so on.
package losstest
