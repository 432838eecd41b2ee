package kernel

// Add adds x to dst.
func Add(dst, x []float32) { active.add(dst, x[:len(dst)]) }

// Multiply multiplies dst by x, element by element: the product of a gate that has been activated.
func Multiply(dst, x []float32) { active.multiply(dst, x[:len(dst)]) }

// Scale multiplies x by a number.
func Scale(x []float32, by float32) { active.scale(x, by) }

// Dot returns the inner product of a and b. Its last bits can differ from those of a product with packed weights.
func Dot(a, b []float32) float32 { return active.dot(a, b[:len(a)]) }

// FirstAbove returns the index of the first x that exceeds its own bound, or len(x) if none does.
func FirstAbove(x, bound []float32) int { return active.firstAbove(x, bound[:len(x)]) }

// GELU replaces x by x * Phi(x), with Phi the cumulative distribution of the normal distribution.
func GELU(x []float32) { active.gelu(x) }

// GELUTanh replaces x by GELU's approximation x/2 * (1 + tanh(sqrt(2/pi) * (x + 0.044715 x^3))).
func GELUTanh(x []float32) { active.geluTanh(x) }

// SiLU replaces x by x / (1 + exp(-x)).
func SiLU(x []float32) { active.silu(x) }

// ReLU replaces x by max(x, 0).
func ReLU(x []float32) { active.relu(x) }

// Softmax replaces x by exp(x) / sum(exp(x)). An x of -Inf becomes 0; one at least must be larger.
func Softmax(x []float32) {
	if len(x) > 0 {
		active.softmax(x)
	}
}

// LayerNorm writes to dst (s - mean(s)) / sqrt(var(s) + eps) * weight + bias with s = x + residual and the population's
// variance (Ba et al. 2016, arXiv 1607.06450). A residual or bias of nil is zeros. dst may be x or residual.
func LayerNorm(dst, x, residual, weight, bias []float32, eps float32) {
	n := len(dst)
	if n == 0 {
		return
	}
	if residual != nil {
		residual = residual[:n]
	}
	if bias != nil {
		bias = bias[:n]
	}
	active.layerNorm(dst, x[:n], residual, weight[:n], bias, eps)
}

// RMSNorm writes to dst x / sqrt(mean(x^2) + eps) * weight (Zhang and Sennrich 2019, arXiv 1910.07467). dst may be x.
func RMSNorm(dst, x, weight []float32, eps float32) {
	if n := len(dst); n > 0 {
		active.rmsNorm(dst, x[:n], weight[:n], eps)
	}
}
