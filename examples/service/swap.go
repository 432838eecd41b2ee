package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"gonum.org/v1/gonum/blas/blas32"

	"github.com/retort-ir/retort/encoder"
)

// asItWas stands for the model that the service was started with, among the numbers of queries of specialised ones.
const asItWas = -1

// watch serves the newest specialised model, whoever trained it, until the service stops. Where its folder is taken
// away, the one before it serves, or the model as it was.
func (s *service) watch() {
	const none = asItWas - 1
	refused := none
	for {
		select {
		case <-s.context.Done():
			return
		case <-time.After(s.Watch):
		}
		newest, err := s.newest()
		if err == nil && newest != refused {
			refused = none
			if err = s.swap(s.context, newest, true); err != nil {
				refused = newest // until there is another
			}
		}
		if err != nil && s.context.Err() == nil {
			s.Logger.Error("the newest model is not served", "queries", newest, "error", err)
		}
	}
}

func (s *service) newest() (int, error) {
	all, err := s.specialised()
	if err != nil || len(all) == 0 {
		return asItWas, err
	}
	return slices.Max(all), nil
}

// swap serves the model that has seen so many queries, unless it does already. The model before it stays on disk, to go
// back to; older ones are removed. foreign says that another process may have trained it, for another index.
func (s *service) swap(ctx context.Context, asked int, foreign bool) error {
	s.swapping.Lock()
	defer s.swapping.Unlock()
	s.mu.Lock()
	before := s.serving
	s.mu.Unlock()
	if before == asked {
		return nil
	}
	dir := s.modelDir(asked)
	next, err := s.Open(ctx, dir, false)
	if err != nil {
		return err
	}
	if foreign {
		if err := s.checkSpecialised(ctx, next); err != nil {
			return errors.Join(fmt.Errorf("%s: %w", dir, err), next.Close())
		}
	}
	closed, err := s.encoder.Swap(next)
	if err != nil {
		return err
	}
	s.mu.Lock()
	s.serving = asked
	s.mu.Unlock()
	s.Logger.Info("swapped the query encoder", "generation", s.encoder.Generation(), "folder", dir)
	return errors.Join(<-closed, s.removeOlder(min(before, asked)))
}

// removeOlder removes the specialised models that have seen fewer queries.
func (s *service) removeOlder(than int) error {
	all, err := s.specialised()
	for _, n := range all {
		if n < than {
			err = errors.Join(err, os.RemoveAll(s.modelDir(n)))
		}
	}
	return err
}

// checkSpecialised returns an error unless the model makes the index's vector of the first passage.
func (s *service) checkSpecialised(ctx context.Context, m model) error {
	first, err := s.corpus.At(0)
	if err != nil {
		return err
	}
	all := s.index.Vectors()
	stored := blas32.General{Rows: 1, Cols: all.Cols, Stride: all.Stride, Data: all.Data[:all.Cols]}
	return encoder.CheckVectors(ctx, m, []string{first.Content()}, stored)
}
