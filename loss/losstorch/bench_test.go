//go:build libtorch

package losstorch

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas32"

	"github.com/retort-ir/retort/internal/matrix"
	"github.com/retort-ir/retort/loss"
)

// The paper's loss over lists of 20 distinct passages of MiniLM's width, by LibTorch and by the Go rows in blocks as
// distill walks them.
func BenchmarkStep(b *testing.B) {
	for _, queries := range []int{32, 256, 1024} {
		s := listStep(queries, 20, 384)
		b.Run(fmt.Sprintf("%dx20/go", queries), func(b *testing.B) {
			for b.Loop() {
				goBlocks(b, loss.Paper(), s)
			}
		})
		for _, mib := range []int64{8, 64, 256} {
			b.Run(fmt.Sprintf("%dx20/libtorch/budget=%dMiB", queries, mib), func(b *testing.B) {
				l, err := New(loss.Paper(), Options{Budget: mib << 20})
				require.NoError(b, err)
				defer l.Close()
				for b.Loop() {
					if _, err := l.Step(b.Context(), s.rows, s.q, s.p, s.dq, s.dp); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

func listStep(queries, list, width int) data {
	s := randomStep(rand.New(rand.NewPCG(11, 12)), queries, queries*list, width, oneCount)
	for i := range s.rows {
		r := &s.rows[i]
		r.List, r.Teacher, r.Positive, r.Ignore = nil, nil, int32(list*i), nil
		for k := range list {
			r.List, r.Teacher = append(r.List, int32(list*i+k)), append(r.Teacher, 1-float64(k)/float64(list))
		}
	}
	return s
}

// goBlocks is the step in blocks of 4 Mi similarities, the rows of a block in parallel.
func goBlocks(b *testing.B, l loss.Loss, s data) {
	n := len(s.rows)
	block := max(1, min(n, (4<<20)/s.p.Rows))
	sim, grad := matrix.New(block, s.p.Rows), matrix.New(block, s.p.Rows)
	for start := 0; start < n; start += block {
		end := min(start+block, n)
		x, dx, q := matrix.Rows(sim, 0, end-start), matrix.Rows(grad, 0, end-start), matrix.Rows(s.q, start, end)
		blas32.Gemm(blas.NoTrans, blas.Trans, 1, q, s.p, 0, x)
		clear(dx.Data)
		var wg sync.WaitGroup
		workers := runtime.GOMAXPROCS(0)
		for w := range workers {
			wg.Add(1)
			go func() {
				defer wg.Done()
				for i := w; i < end-start; i += workers {
					if _, err := l.Row(&s.rows[start+i], matrix.Row(x, i), matrix.Row(dx, i), 1/float64(n)); err != nil {
						b.Error(err)
					}
				}
			}()
		}
		wg.Wait()
		blas32.Gemm(blas.NoTrans, blas.NoTrans, 1, dx, s.p, 1, matrix.Rows(s.dq, start, end))
		blas32.Gemm(blas.Trans, blas.NoTrans, 1, dx, q, 1, s.dp)
	}
}
