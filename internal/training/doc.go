// Package training is the loop of every training: steps by a schedule, evaluations, the best model, early stopping,
// checkpoints, and resumption after a kill. A [Trainer] makes the steps and evaluates the model.
package training
