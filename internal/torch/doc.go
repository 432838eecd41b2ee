// Package torch is Retort's thin layer over LibTorch: a [Runtime] owns one OS thread, a [Scope] owns the tensors made
// in it and frees them at its end, and errors are LibTorch's own messages. It is ordinary Go and compiles everywhere;
// built without the tag libtorch, [Open] returns retort.ErrNoLibTorch.
//
//	rt, err := torch.Open(torch.Options{})
//	...
//	err = rt.Run(ctx, func(s *torch.Scope) error {
//		x := s.FromFloats([]float32{1, 2, 3, 4}, 2, 2)
//		y := s.MatMul(x, x)
//		result = s.Floats(y)
//		return s.Err()
//	})
package torch
