// Package training is the loop of every training: steps by a schedule, evaluations, the best model, the end of
// patience, checkpoints, and going on from them after a kill. A [Trainer] makes the steps and measures the model.
package training
