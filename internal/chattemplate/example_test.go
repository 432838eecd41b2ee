package chattemplate_test

import (
	"fmt"

	"github.com/retort-ir/retort/internal/chattemplate"
)

func Example() {
	template, err := chattemplate.Compile(`{% for m in messages %}[{{ m.role }}] {{ m.content | trim }}
{% endfor %}
{% if add_generation_prompt %}[assistant]{% endif %}`)
	if err != nil {
		fmt.Println(err)
		return
	}
	text, err := template.Render([]chattemplate.Message{{Role: "user", Content: " What is a retort? "}}, "<s>", "</s>", true)
	fmt.Println(text, err)
	// Output:
	// [user] What is a retort?
	// [assistant] <nil>
}
