//go:build ignore

// Writes stopwords.txt from the lists of the analyzers of bleve, which has them from Lucene and Snowball:
//
//	go run stopwords_gen.go
package main

import (
	"fmt"
	"log"
	"os"
	"slices"
	"strings"

	"github.com/blevesearch/bleve/v2/analysis"
	"github.com/blevesearch/bleve/v2/analysis/lang/ar"
	"github.com/blevesearch/bleve/v2/analysis/lang/ckb"
	"github.com/blevesearch/bleve/v2/analysis/lang/da"
	"github.com/blevesearch/bleve/v2/analysis/lang/de"
	"github.com/blevesearch/bleve/v2/analysis/lang/en"
	"github.com/blevesearch/bleve/v2/analysis/lang/es"
	"github.com/blevesearch/bleve/v2/analysis/lang/fa"
	"github.com/blevesearch/bleve/v2/analysis/lang/fi"
	"github.com/blevesearch/bleve/v2/analysis/lang/fr"
	"github.com/blevesearch/bleve/v2/analysis/lang/hu"
	"github.com/blevesearch/bleve/v2/analysis/lang/it"
	"github.com/blevesearch/bleve/v2/analysis/lang/nl"
	"github.com/blevesearch/bleve/v2/analysis/lang/no"
	"github.com/blevesearch/bleve/v2/analysis/lang/pt"
	"github.com/blevesearch/bleve/v2/analysis/lang/ro"
	"github.com/blevesearch/bleve/v2/analysis/lang/ru"
	"github.com/blevesearch/bleve/v2/analysis/lang/sv"
	"github.com/blevesearch/bleve/v2/analysis/lang/tr"
)

const head = `# Stop words by language, written by stopwords_gen.go from the lists of github.com/blevesearch/bleve/v2 (Apache License
# 2.0), which are Apache Lucene's (Apache License 2.0) and Snowball's (BSD License, Copyright Martin Porter and Richard
# Boulton). A line is a language and its words.
`

func main() {
	var b strings.Builder
	b.WriteString(head)
	for _, l := range []struct {
		name  string
		words []byte
	}{
		{"arabic", ar.ArabicStopWords},
		{"danish", da.DanishStopWords},
		{"dutch", nl.DutchStopWords},
		{"english", en.EnglishStopWords},
		{"finnish", fi.FinnishStopWords},
		{"french", fr.FrenchStopWords},
		{"german", de.GermanStopWords},
		{"hungarian", hu.HungarianStopWords},
		{"italian", it.ItalianStopWords},
		{"norwegian", no.NorwegianStopWords},
		{"persian", fa.PersianStopWords},
		{"portuguese", pt.PortugueseStopWords},
		{"romanian", ro.RomanianStopWords},
		{"russian", ru.RussianStopWords},
		{"sorani", ckb.SoraniStopWords},
		{"spanish", es.SpanishStopWords},
		{"swedish", sv.SwedishStopWords},
		{"turkish", tr.TurkishStopWords},
	} {
		list := analysis.NewTokenMap()
		if err := list.LoadBytes(l.words); err != nil {
			log.Fatal(err)
		}
		words := make([]string, 0, len(list))
		for w := range list {
			words = append(words, strings.Fields(w)...)
		}
		slices.Sort(words)
		fmt.Fprintln(&b, l.name, strings.Join(slices.Compact(words), " "))
	}
	if err := os.WriteFile("stopwords.txt", []byte(b.String()), 0o644); err != nil {
		log.Fatal(err)
	}
}
