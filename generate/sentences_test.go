package generate

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

func TestSentences(t *testing.T) {
	for _, c := range []struct {
		name, text string
		want       []string
	}{
		{"two", "The disk is full. Remove old snapshots first!", []string{"The disk is full.", "Remove old snapshots first!"}},
		{"wrapped lines", "Flush writes any buffered\ndata to the underlying\r\nwriter. It is\nsafe.", []string{
			"Flush writes any buffered data to the underlying writer.", "It is safe.",
		}},
		{"abbreviations", "Use a short name, e.g. the host, i.e. not a path. Dr. Wu and Mr. Li agree. See Smith et al. The rest follows.", []string{
			"Use a short name, e.g. the host, i.e. not a path.", "Dr. Wu and Mr. Li agree.", "See Smith et al. The rest follows.",
		}},
		{"abbreviations before numbers", "As Fig. 3 and No. 7 show, it grows. The answer was no. We stopped.", []string{
			"As Fig. 3 and No. 7 show, it grows.", "The answer was no.", "We stopped.",
		}},
		{"acronyms and initials", "It was sold in the U.S. The U.S. Senate met J. Smith at 9 a.m. We left.", []string{
			"It was sold in the U.S.", "The U.S. Senate met J. Smith at 9 a.m.", "We left.",
		}},
		{"species", "Growth of E. coli was slow. S. aureus grew.", []string{"Growth of E. coli was slow.", "S. aureus grew."}},
		{"a letter that ends", "Take vitamin D. This helps.", []string{"Take vitamin D.", "This helps."}},
		{"decimals", "The ratio fell from 3.5 to 1.2. It rose by .04 later (p = .01).", []string{
			"The ratio fell from 3.5 to 1.2.", "It rose by .04 later (p = .01).",
		}},
		{"identifiers and files", "Call fmt.Println(x.y) once. Open config.json first. Versions up to 1.24.0 work.", []string{
			"Call fmt.Println(x.y) once.", "Open config.json first.", "Versions up to 1.24.0 work.",
		}},
		{"quotes and brackets", `He asked "Why?" Nobody knew. (It is rare.) "Stop." They did.`, []string{
			`He asked "Why?"`, "Nobody knew.", "(It is rare.)", `"Stop."`, "They did.",
		}},
		{"dots apart, lower case", "the wing was tested . results are given . they agree", []string{
			"the wing was tested .", "results are given .", "they agree",
		}},
		{"all in lower case", "open the menu. choose export. done", []string{"open the menu.", "choose export.", "done"}},
		{"ellipsis", "Wait... then retry. Or not... Who knows?", []string{"Wait... then retry.", "Or not...", "Who knows?"}},
		{"list", "Before you start:\n\n  - Close all windows\n  - Save your work, including\n    drafts\n  1. Restart the router\n\nThen call us.", []string{
			"Before you start:", "Close all windows", "Save your work, including drafts", "Restart the router", "Then call us.",
		}},
		{"code by indentation", "Open a file:\n\n\tf, err := os.Open(name)\n\tdefer f.Close()\n\nThen read it.", []string{"Open a file:", "Then read it."}},
		{"code by fences", "Run it.\n```sh\nmake all. Now\n```\nDone here.", []string{"Run it.", "Done here."}},
		{"all of it indented", "    The text of a comment.\n      It goes on.", []string{"The text of a comment.", "It goes on."}},
		{"headings", "## Reset your password\nOpen the settings page.\n\nBilling and invoices\nInvoices are sent monthly.", []string{
			"Reset your password", "Open the settings page.", "Billing and invoices", "Invoices are sent monthly.",
		}},
		{"no spaces between", "これは文です。次の文です。", []string{"これは文です。", "次の文です。"}},
		{"nothing to say", " \n... 12. --- !\n", nil},
		{"empty", "", nil},
	} {
		t.Run(c.name, func(t *testing.T) { require.Equal(t, c.want, sentencesOf(c.text)) })
	}
}

func FuzzSentences(f *testing.F) {
	f.Add("A first one. E.g. this, i.e. 3.5 of \"them.\" (Yes.)\n\n  - an item\n\tcode()\n```\nx\n```")
	f.Add("the u.s. No. 5 . . . ... !?\r\n\r# h\n1) x\n。！")
	f.Add("\x80\xff. \xe2\x80")
	f.Fuzz(func(t *testing.T, text string) {
		if len(text) > 10_000 {
			t.Skip()
		}
		text = strings.ToValidUTF8(text, "")
		rest := []rune(withoutSpace(text))
		for _, s := range sentencesOf(text) {
			require.True(t, utf8.ValidString(s))
			require.Equal(t, strings.TrimSpace(s), s)
			require.NotContains(t, s, "\n")
			require.True(t, strings.ContainsFunc(s, unicode.IsLetter), "%q", s)
			// The sentences hold what the text holds, in its order.
			for _, r := range withoutSpace(s) {
				for len(rest) > 0 && rest[0] != r {
					rest = rest[1:]
				}
				require.NotEmpty(t, rest, "%q is not of the text or out of order", s)
				rest = rest[1:]
			}
		}
	})
}

func withoutSpace(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) {
			return -1
		}
		return r
	}, s)
}

func BenchmarkSentences(b *testing.B) {
	text := strings.Repeat(abstract+"\n\n", 5)
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		sentencesOf(text)
	}
}
