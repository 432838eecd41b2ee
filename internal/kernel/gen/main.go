// Command gen writes the assembly of package kernel, and its declarations in Go, to the folder it runs in.
package main

import (
	"log"
	"os"
)

func main() {
	for name, content := range files() {
		if err := os.WriteFile(name, content, 0o666); err != nil {
			log.Fatal(err)
		}
	}
}

// files returns the generated files by name.
func files() map[string][]byte {
	products, vectors, amd64 := assembly(), assembly(), declarations()
	for _, x := range []isa{avx2, avx512} {
		x.products(products, amd64)
		x.vectors(vectors, amd64)
	}
	transpose(products, amd64)
	small := assembly()
	quantized(small, amd64)
	constants(vectors)
	arm, arm64 := assembly(), declarations()
	neonProducts(arm, arm64)
	return map[string][]byte{
		"products_amd64.s":      products.Bytes(),
		"vectors_amd64.s":       vectors.Bytes(),
		"quantized_amd64.s":     small.Bytes(),
		"declarations_amd64.go": amd64.source(),
		"products_arm64.s":      arm.Bytes(),
		"declarations_arm64.go": arm64.source(),
	}
}
