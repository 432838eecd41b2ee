package maven_test

import (
	"fmt"

	"github.com/retort-ir/retort/cmd/retort/internal/maven"
)

func ExampleArtifact() {
	fmt.Println(maven.Artifact{Group: "org.example", Name: "model", Version: "1.0"})
	// Output: org.example:model:1.0
}
