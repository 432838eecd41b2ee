//go:build libtorch

package torch

import (
	"context"
	"math"
	"os"
	"sync"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retort-ir/retort/internal/rss/rsstest"
	"github.com/retort-ir/retort/internal/torch/raw"
)

func open(t testing.TB) *Runtime {
	t.Helper()
	rt, err := Open(Options{Threads: 2})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, rt.Close()) })
	return rt
}

func run(t testing.TB, rt *Runtime, f func(*Scope)) {
	t.Helper()
	require.NoError(t, rt.Run(t.Context(), func(s *Scope) error { f(s); return s.Err() }))
}

func TestOperationsComputeWhatTheirCommentsSay(t *testing.T) {
	rt := open(t)
	tests := map[string]struct {
		compute func(s *Scope, x, y Tensor) Tensor // x = [1 2; 3 4], y = [5 6; 7 8]
		want    []float32
	}{
		"add":       {func(s *Scope, x, y Tensor) Tensor { return s.Add(x, y) }, []float32{6, 8, 10, 12}},
		"mul":       {func(s *Scope, x, y Tensor) Tensor { return s.Mul(x, y) }, []float32{5, 12, 21, 32}},
		"div":       {func(s *Scope, x, y Tensor) Tensor { return s.Div(y, x) }, []float32{5, 3, 7. / 3, 2}},
		"matmul":    {func(s *Scope, x, y Tensor) Tensor { return s.MatMul(x, y) }, []float32{19, 22, 43, 50}},
		"linear":    {func(s *Scope, x, y Tensor) Tensor { return s.Linear(x, y, s.FromFloats([]float32{1, 2}, 2)) }, []float32{18, 25, 40, 55}},
		"scale":     {func(s *Scope, x, _ Tensor) Tensor { return s.Scale(x, -.5) }, []float32{-.5, -1, -1.5, -2}},
		"clamp":     {func(s *Scope, x, _ Tensor) Tensor { return s.ClampMin(x, 2.5) }, []float32{2.5, 2.5, 3, 4}},
		"sum":       {func(s *Scope, x, _ Tensor) Tensor { return s.Sum(x) }, []float32{10}},
		"sum dim":   {func(s *Scope, x, _ Tensor) Tensor { return s.SumDim(x, 0) }, []float32{4, 6}},
		"norm":      {func(s *Scope, x, _ Tensor) Tensor { return s.Norm(x, 1) }, []float32{float32(math.Sqrt(5)), 5}},
		"norm all":  {func(s *Scope, x, _ Tensor) Tensor { return s.NormAll(x) }, []float32{float32(math.Sqrt(30))}},
		"sqrt":      {func(s *Scope, x, _ Tensor) Tensor { return s.Sqrt(x) }, []float32{1, math.Sqrt2, float32(math.Sqrt(3)), 2}},
		"transpose": {func(s *Scope, x, _ Tensor) Tensor { return s.Transpose(x, 0, 1) }, []float32{1, 3, 2, 4}},
		"reshape":   {func(s *Scope, x, _ Tensor) Tensor { return s.Reshape(x, 4) }, []float32{1, 2, 3, 4}},
		"select":    {func(s *Scope, x, _ Tensor) Tensor { return s.Select(x, 1, 1) }, []float32{2, 4}},
		"narrow":    {func(s *Scope, x, _ Tensor) Tensor { return s.Narrow(x, 0, 1, 1) }, []float32{3, 4}},
		"stack":     {func(s *Scope, x, y Tensor) Tensor { return s.Stack(s.Sum(x), s.Sum(y)) }, []float32{10, 26}},
		"zeros":     {func(s *Scope, _, _ Tensor) Tensor { return s.Zeros(Float32, 3) }, []float32{0, 0, 0}},
		"relu":      {func(s *Scope, x, _ Tensor) Tensor { return s.Relu(s.Scale(x, -1)) }, []float32{0, 0, 0, 0}},
		"tanh":      {func(s *Scope, x, _ Tensor) Tensor { return s.Tanh(x) }, []float32{.7615942, .9640276, .9950548, .9993293}},
		"gelu":      {func(s *Scope, x, _ Tensor) Tensor { return s.Gelu(x) }, []float32{.8413447, 1.9544997, 2.9959502, 3.9998733}},
		"gelu tanh": {func(s *Scope, x, _ Tensor) Tensor { return s.GeluTanh(x) }, []float32{.841192, 1.9545977, 2.9963627, 3.9999297}},
		"embedding": {func(s *Scope, x, _ Tensor) Tensor { return s.Embedding(x, s.FromInts([]int64{1, 0, 1}, 3)) }, []float32{3, 4, 1, 2, 3, 4}},
		"layer norm": {func(s *Scope, x, _ Tensor) Tensor {
			return s.LayerNorm(x, s.FromFloats([]float32{1, 1}, 2), s.FromFloats([]float32{0, 1}, 2), 2, 0)
		}, []float32{-1, 2, -1, 2}},
		"zero":       {func(s *Scope, x, _ Tensor) Tensor { s.ZeroInPlace(x); return x }, []float32{0, 0, 0, 0}},
		"scale self": {func(s *Scope, x, _ Tensor) Tensor { s.ScaleInPlace(x, 2); return x }, []float32{2, 4, 6, 8}},
		"add scalar": {func(s *Scope, x, _ Tensor) Tensor { s.AddScalarInPlace(x, 2); return x }, []float32{3, 4, 5, 6}},
		"lerp":       {func(s *Scope, x, y Tensor) Tensor { s.LerpInPlace(x, y, .25); return x }, []float32{2, 3, 4, 5}},
		"add self":   {func(s *Scope, x, y Tensor) Tensor { s.AddInPlace(x, y); return x }, []float32{6, 8, 10, 12}},
		"mul self":   {func(s *Scope, x, y Tensor) Tensor { s.MulInPlace(x, s.Narrow(y, 1, 1, 1)); return x }, []float32{6, 12, 24, 32}},
		"exp self":   {func(s *Scope, x, _ Tensor) Tensor { s.ExpInPlace(x); return x }, []float32{2.7182818, 7.389056, 20.085537, 54.59815}},
		"add matmul": {func(s *Scope, x, y Tensor) Tensor { s.AddMatMulInPlace(x, x, y); return x }, []float32{20, 24, 46, 54}},
		"max":        {func(s *Scope, x, _ Tensor) Tensor { return s.MaxDim(x, 1) }, []float32{2, 4}},
		"fill at":    {func(s *Scope, x, _ Tensor) Tensor { s.FillAt(x, s.FromInts([]int64{0, 3}, 2), -7); return x }, []float32{-7, 2, 3, -7}},
		"add at": {func(s *Scope, x, _ Tensor) Tensor {
			s.AddAt(x, s.FromInts([]int64{3, 1}, 2), s.FromFloats([]float32{10, 20}, 2))
			return x
		}, []float32{1, 22, 3, 14}},
		"doubles": {func(s *Scope, x, _ Tensor) Tensor {
			return s.As(s.FromDoubles(s.Doubles(s.Add(s.As(x, Float64), s.FromDoubles([]float64{1, 2}, 2))), 4), Float32)
		}, []float32{2, 4, 4, 6}},
		"add div":    {func(s *Scope, x, y Tensor) Tensor { s.AddDivInPlace(x, y, y); return x }, []float32{2, 3, 4, 5}},
		"copy":       {func(s *Scope, x, y Tensor) Tensor { s.Copy(x, y); return x }, []float32{5, 6, 7, 8}},
		"to and fro": {func(s *Scope, x, _ Tensor) Tensor { return s.As(s.As(x, BFloat16), Float32) }, []float32{1, 2, 3, 4}},
		"no bias":    {func(s *Scope, x, y Tensor) Tensor { return s.Linear(x, y, nil) }, []float32{17, 23, 39, 53}},
		"cat":        {func(s *Scope, x, y Tensor) Tensor { return s.Cat(1, x, y) }, []float32{1, 2, 5, 6, 3, 4, 7, 8}},
		"expand":     {func(s *Scope, x, _ Tensor) Tensor { return s.Expand(s.Reshape(x, 4, 1), -1, 2) }, []float32{1, 1, 2, 2, 3, 3, 4, 4}},
		"roll":       {func(s *Scope, x, _ Tensor) Tensor { return s.Roll(s.Reshape(x, 1, 4), 1, 1) }, []float32{4, 1, 2, 3}},
		"mean dim":   {func(s *Scope, x, _ Tensor) Tensor { return s.MeanDim(x, 1) }, []float32{1.5, 3.5}},
		"softmax":    {func(s *Scope, x, _ Tensor) Tensor { return s.Softmax(x, 1) }, []float32{.2689414, .7310586, .2689414, .7310586}},
		"logsumexp":  {func(s *Scope, x, _ Tensor) Tensor { return s.LogSumExp(x, 1) }, []float32{2.3132617, 4.3132617}},
		"silu":       {func(s *Scope, x, _ Tensor) Tensor { return s.Silu(x) }, []float32{.7310586, 1.7615942, 2.8577224, 3.9280552}},
		"rsqrt":      {func(s *Scope, x, _ Tensor) Tensor { return s.Rsqrt(x) }, []float32{1, math.Sqrt2 / 2, float32(1 / math.Sqrt(3)), .5}},
		"index select": {func(s *Scope, x, _ Tensor) Tensor {
			return s.IndexSelect(x, 1, s.FromInts([]int64{1, 1, 0}, 3))
		}, []float32{2, 2, 1, 4, 4, 3}},
		"gather": {func(s *Scope, x, _ Tensor) Tensor {
			return s.Gather(x, 1, s.FromInts([]int64{1, 0}, 2, 1))
		}, []float32{2, 3}},
		"sub-scope": {func(s *Scope, x, y Tensor) Tensor {
			return s.Sub(func(s *Scope) Tensor { return s.Add(x, s.Scale(y, 2)) })
		}, []float32{11, 14, 17, 20}},
		"attention": {func(s *Scope, x, y Tensor) Tensor {
			four := func(x Tensor) Tensor { return s.Reshape(x, 1, 1, 2, 2) }
			// The mask leaves only the second key.
			return s.Attention(four(x), four(x), four(y), s.FromFloats([]float32{-1e9, 0}, 1, 1, 1, 2), 1)
		}, []float32{7, 8, 7, 8}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			run(t, rt, func(s *Scope) {
				x, y := s.FromFloats([]float32{1, 2, 3, 4}, 2, 2), s.FromFloats([]float32{5, 6, 7, 8}, 2, 2)
				require.InDeltaSlice(t, test.want, s.Floats(test.compute(s, x, y)), 1e-5)
			})
			require.Zero(t, rt.Live(), "tensors left behind")
		})
	}
}

func TestBackwardAddsToTheGradient(t *testing.T) {
	rt := open(t)
	run(t, rt, func(s *Scope) {
		x := s.FromFloats([]float32{1, 2}, 2)
		s.RequireGrad(x)
		require.Nil(t, s.Grad(x), "no gradient before Backward")
		for pass := 1; pass <= 2; pass++ {
			s.Backward(s.Sum(s.Mul(x, x)))
			require.Equal(t, []float32{float32(2 * pass), float32(4 * pass)}, s.Floats(s.Grad(x)))
		}
		s.NoGrad(func() { x = s.Scale(x, 3) })
		s.Backward(s.Sum(x))
		require.ErrorContains(t, s.Err(), "does not require grad")
		s.err = nil
	})
	require.Zero(t, rt.Live())
}

func TestErrorsCarryLibTorchsMessageWithoutItsStack(t *testing.T) {
	rt := open(t)
	err := rt.Run(t.Context(), func(s *Scope) error {
		x := s.MatMul(s.FromFloats([]float32{1, 2}, 1, 2), s.FromFloats([]float32{1, 2, 3}, 1, 3))
		require.Nil(t, x)
		require.Nil(t, s.Add(x, x), "an operation after an error does nothing")
		return nil
	})
	require.ErrorContains(t, err, "mat1 and mat2 shapes cannot be multiplied (1x2 and 1x3)")
	require.NotContains(t, err.Error(), "frame #")
	require.NotContains(t, err.Error(), "\n")
	require.Zero(t, rt.Live())

	run(t, rt, func(s *Scope) { require.Equal(t, []float32{2}, s.Floats(s.Scale(s.FromFloats([]float32{1}, 1), 2))) })
}

func TestBadArgumentsAreErrors(t *testing.T) {
	rt := open(t)
	tests := map[string]struct {
		call func(s *Scope)
		want string
	}{
		"nil operand":      {func(s *Scope) { s.Add(nil, nil) }, "operand 1 is nil"},
		"shape":            {func(s *Scope) { s.FromFloats([]float32{1}, 2) }, "1 values for shape [2]"},
		"empty":            {func(s *Scope) { s.FromFloats(nil, 0) }, "0 values for shape [0]"},
		"length of a copy": {func(s *Scope) { s.CopyFloats(make([]float32, 3), s.FromFloats([]float32{1}, 1)) }, "1 elements into 3"},
		"panic":            {func(*Scope) { panic("boom") }, "internal error: boom"},
		"own error":        {func(s *Scope) { s.Fail(os.ErrClosed) }, os.ErrClosed.Error()},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			err := rt.Run(t.Context(), func(s *Scope) error { test.call(s); return nil })
			require.ErrorContains(t, err, test.want)
			require.Zero(t, rt.Live())
		})
	}
	for name, o := range map[string]Options{
		"Threads": {Threads: -1}, `device "gpu"`: {Device: "gpu"}, "device cuda:999 does not exist": {Device: "cuda:999"},
	} {
		_, err := Open(o)
		require.ErrorContains(t, err, name)
	}
}

func TestKeptTensorsOutliveTheirScope(t *testing.T) {
	rt := open(t)
	var kept Tensor
	run(t, rt, func(s *Scope) { kept = s.Keep(s.FromFloats([]float32{7}, 1)) })
	require.EqualValues(t, 1, rt.Live())
	run(t, rt, func(s *Scope) {
		require.Equal(t, []float32{7}, s.Floats(kept))
		s.Free(kept)
	})
	require.Zero(t, rt.Live())
}

func TestRunQueuesConcurrentCallersAndStopsWithItsContext(t *testing.T) {
	rt := open(t)
	var wg sync.WaitGroup
	for i := range 50 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			run(t, rt, func(s *Scope) {
				require.Equal(t, []float32{float32(i) * 2}, s.Floats(s.Scale(s.FromFloats([]float32{float32(i)}, 1), 2)))
			})
		}()
	}
	wg.Wait()

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, rt.Run(ctx, func(*Scope) error { t.Error("ran"); return nil }), context.Canceled)

	require.NoError(t, rt.Close())
	require.ErrorIs(t, rt.Run(t.Context(), func(*Scope) error { return nil }), ErrClosed)
}

// Passes of a tiny network with gradients leave neither tensors nor resident memory behind: a few hundred in every
// test run, 20,000 in the soak run.
func TestPassesLeaveMemoryFlat(t *testing.T) {
	rt := open(t)
	passes := 300
	if os.Getenv("RETORT_SOAK") != "" {
		passes = 20000
	}
	var w Tensor
	run(t, rt, func(s *Scope) {
		data := make([]float32, 64*64)
		for i := range data {
			data[i] = float32(i%7) / 70
		}
		w = s.Keep(s.FromFloats(data, 64, 64))
		s.RequireGrad(w)
	})
	pass := func() {
		run(t, rt, func(s *Scope) {
			x := s.FromFloats(make([]float32, 32*64), 32, 64)
			s.Backward(s.Sum(s.Gelu(s.MatMul(s.Gelu(s.MatMul(x, w)), w))))
			s.ZeroInPlace(s.Grad(w))
		})
	}
	for range passes / 10 {
		pass()
	}
	before := rsstest.MB(t)
	for range passes {
		pass()
	}
	require.EqualValues(t, 1, rt.Live())
	require.InDelta(t, before, rsstest.MB(t), 24, "resident memory in MB over %d passes", passes)
	run(t, rt, func(s *Scope) { s.Free(w) })
}

func BenchmarkOperationOverhead(b *testing.B) {
	rt := open(b)
	run(b, rt, func(s *Scope) {
		x := s.FromFloats([]float32{1}, 1)
		for b.Loop() {
			s.Free(s.Keep(s.Add(x, x)))
		}
	})
}

func TestParameterRowsHaveTheGradientOfEmbedding(t *testing.T) {
	rt := open(t)
	const rows, width = 50, 3
	values := make([]float32, rows*width)
	for i := range values {
		values[i] = float32(i%7) - 2
	}
	indices := []int64{4, 0, 4, 49, 4, 0, 21, 20}
	gradient := func(lookup func(s *Scope, weight, indices Tensor) Tensor) (g []float32) {
		run(t, rt, func(s *Scope) {
			weight := s.FromFloats(values, rows, width)
			s.RequireGrad(weight)
			for range 2 { // the second is added to the first
				x := lookup(s, weight, s.FromInts(indices, 2, 4))
				s.Backward(s.Sum(s.Mul(x, x)))
			}
			s.NoGrad(func() { require.Equal(t, values[12:15], s.Floats(lookup(s, weight, s.FromInts(indices, 8)))[:width]) })
			g = s.Floats(s.Grad(weight))
		})
		return g
	}
	want := gradient((*Scope).Embedding)
	require.Equal(t, float32(3*2*2*values[12]), want[12])
	require.Equal(t, want, gradient((*Scope).ParameterRows))
	require.Zero(t, rt.Live())
}

// LibTorch gives a thread the number of threads that was last set on any.
func TestEachRuntimeHasItsOwnThreads(t *testing.T) {
	var runtimes []*Runtime
	for _, threads := range []int{1, 2, 3} {
		rt, err := Open(Options{Threads: threads})
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, rt.Close()) })
		runtimes = append(runtimes, rt)
	}
	for i, rt := range runtimes {
		run(t, rt, func(s *Scope) {
			s.Add(s.Zeros(Float32, 1<<20), s.Zeros(Float32, 1<<20)) // enough for several threads
			require.Equal(t, i+1, raw.NumThreads())
		})
	}
}

// What oneDNN remembers of a lack of memory belongs to the thread.
func TestARuntimeServesOnAnotherThreadAfterAKernelFailed(t *testing.T) {
	rt := open(t)
	thread := func(result error) (id int) {
		require.ErrorIs(t, rt.Run(t.Context(), func(*Scope) error { id = syscall.Gettid(); return result }), result)
		return id
	}
	first := thread(nil)
	require.Equal(t, first, thread(ErrMemory))
	require.Equal(t, first, thread(errKernel))
	require.NotEqual(t, first, thread(nil))
	run(t, rt, func(s *Scope) { require.Equal(t, 2, raw.NumThreads()) })
}
