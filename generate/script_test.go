package generate

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retort-ir/retort"
)

func TestScriptsThatExtractiveQueriesDoNotSuit(t *testing.T) {
	for _, c := range []struct {
		name, title, text string
		unspaced, foreign bool
	}{
		{"English", "Kettle", "Vinegar removes limescale from the kettle. Rinse it with water after that.", false, false},
		{"Chinese", "水壶", "白醋能去除水壶里的水垢，之后请用清水冲洗干净。", true, false},
		{"Japanese", "やかん", "酢を入れて沸かすと水垢が落ちます。カップも同じです。", true, false},
		{"Thai", "กาน้ำ", "ใช้น้ำส้มสายชูล้างคราบตะกรันในกาน้ำแล้วล้างด้วยน้ำสะอาด", true, false},
		{"Chinese with a name in Latin letters", "", "请把 Model X20 的面包屑托盘清空，然后用湿布擦拭外壳，最后晾干。", true, false},
		{
			"English with a Chinese name", "", "The teapot is called 茶壶 and it is made of clay from Yixing, which is a city.",
			false, false,
		},
		{"Korean, which has spaces", "주전자", "주전자 안쪽의 물때는 식초를 넣고 끓이면 쉽게 지울 수 있습니다", false, true},
		{"Arabic", "إبريق", "املأ الإبريق بالخل ثم اغله واتركه ساعة كاملة قبل أن تشطفه", false, true},
		{"German", "Kocher", "Füllen Sie den Kocher mit Essig und lassen Sie ihn eine Stunde lang stehen.", false, true},
		{"too short to say", "", "Wasserkocher aus Stahl", false, false},
		{"no letters", "", "12 34 56", false, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := retort.Passage{ID: "p", Title: c.title, Text: c.text}
			corpus, err := retort.NewCorpus([]retort.Passage{p})
			require.NoError(t, err)
			s, err := ReadScripts(t.Context(), corpus)
			require.NoError(t, err)
			require.Equal(t, 1, s.Passages)
			require.Equal(t, c.unspaced, s.Unspaced == 1, "unspaced")
			require.Equal(t, c.foreign, s.Foreign == 1, "foreign")
		})
	}
}

// Clauses of such a script once passed for words, and three of them for keywords.
func TestNoQueriesAreMadeOfAScriptWithoutSpaces(t *testing.T) {
	var passages []retort.Passage
	for i, text := range []string{
		"用白醋煮水，可以清除水壶里的水垢，然后冲洗，再晾干。", "倒空托盘，擦拭外壳，检查电线，插上电源。", "更换封条，关好柜门，调低温度，节省电力。",
	} {
		passages = append(passages, retort.Passage{ID: fmt.Sprint("z", i), Title: "说明", Text: text})
	}
	corpus, err := retort.NewCorpus(passages)
	require.NoError(t, err)
	e, err := NewExtractive(t.Context(), corpus, Options{})
	require.NoError(t, err)
	for _, p := range passages {
		queries, err := e.Generate(t.Context(), p)
		require.NoError(t, err)
		require.Empty(t, queries)
	}
}
