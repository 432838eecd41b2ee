package generate

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/internal/language"
)

// kettles say the same in several languages.
var kettles = map[string][2]string{
	"german":   {"Wasserkocher und Kanne entkalken", "Füllen Sie den Kocher mit Essig und lassen Sie ihn z. B. eine Stunde lang stehen. Spülen Sie ihn danach mit klarem Wasser."},
	"french":   {"Détartrer la bouilloire à l'eau", "Remplissez la bouilloire de vinaigre blanc et laissez-la reposer pendant une heure. Rincez-la ensuite avec de l'eau claire."},
	"russian":  {"Чистка чайника от накипи", "Налейте в чайник уксус и оставьте его на час, а потом промойте водой. Белая накипь растворится, и чайник снова станет чистым."},
	"arabic":   {"تنظيف الإبريق من الكلس", "املأ الإبريق بالخل الأبيض ثم اتركه لمدة ساعة كاملة قبل أن تشطفه من الداخل. كرر هذا كل شهر إذا كان الماء عسرا."},
	"korean":   {"주전자 물때 제거 방법", "주전자 안쪽의 물때는 식초를 넣고 끓이면 쉽게 지울 수 있습니다. 끓인 후에는 깨끗한 물로 여러 번 헹구어 주세요."},
	"chinese":  {"清除水壶里的水垢", "用白醋煮水，可以清除水壶里的水垢。煮好以后把水倒掉，再用清水冲洗两次，最后晾干。"},
	"japanese": {"やかんの水垢の掃除", "やかんの水垢は酢を入れて沸かすと簡単に落とせます。その後は清潔な水で数回すすいでください。"},
	"thai":     {"วิธีล้างคราบตะกรันในกาน้ำ", "ใช้น้ำส้มสายชูล้างคราบตะกรันในกาน้ำ ทิ้งไว้หนึ่งชั่วโมงแล้วล้างด้วยน้ำสะอาด ทำซ้ำทุกเดือน"},
	"":         {"केतली की सफाई", "केतली में सिरका भरकर एक घंटे के लिए छोड़ दें। इसके बाद उसे साफ पानी से दो बार धो लें।"}, // Hindi is told from no other language of its script
}

func TestPassagesOfOtherLanguagesGiveQueries(t *testing.T) {
	for name, k := range kettles {
		t.Run(name, func(t *testing.T) {
			p := retort.Passage{ID: "p", Title: k[0], Text: k[1]}
			e := extractive(t, []retort.Passage{p}, Options{PerPassage: 100})
			require.Equal(t, name, e.spoken.of(p.Content()))
			text := Normalize(p.Content())
			made := map[string]bool{}
			for _, q := range queriesOf(t, e, p) {
				made[q.Type] = true
				require.NotEqual(t, TypeHowTo, q.Type)
				require.LessOrEqual(t, language.CountWords(q.Text), 20, q.Text)
				if q.Type == TypeSentence || q.Type == TypePhrase {
					require.Contains(t, text, Normalize(q.Text))
				}
			}
			require.True(t, made[TypeSentence], "sentence")
			require.True(t, made[TypePhrase] || name == "japanese", "phrase")
		})
	}
}

func TestSentencesAndTermsOfOtherLanguages(t *testing.T) {
	for _, c := range []struct {
		language, text   string
		sentences, words []string
	}{
		{
			"german", "Am 3. Oktober ist z. B. das Amt zu. Fragen Sie Dr. Meier! Kommen Sie morgen?",
			[]string{"Am 3. Oktober ist z. B. das Amt zu.", "Fragen Sie Dr. Meier!", "Kommen Sie morgen?"},
			[]string{"oktober", "amt", "fragen", "dr", "meier", "kommen", "morgen"},
		},
		{"french", "L'eau qu’on verse", []string{"L'eau qu’on verse"}, []string{"eau", "verse"}},
		{
			"chinese", "水壶里的水垢\n可以用白醋清除。请每月清洗！",
			[]string{"水壶里的水垢可以用白醋清除。", "请每月清洗！"},
			[]string{"水壶", "水垢", "白醋清除", "每月清洗"},
		},
		{"japanese", "ケトルの水垢は酢で落とせます。", []string{"ケトルの水垢は酢で落とせます。"}, []string{"ケトル", "水垢"}},
		{
			"thai", "ล้างกาน้ำ ใช้น้ำส้มสายชู 1 ช้อน",
			[]string{"ล้างกาน้ำ", "ใช้น้ำส้มสายชู 1 ช้อน"},
			[]string{"ล้างกาน้ำ", "ใช้น้ำส้มสายชู", "ช้อน"},
		},
		{"korean", "물때를 지웁니다. 물로 헹굽니다.", []string{"물때를 지웁니다.", "물로 헹굽니다."}, []string{"물때를", "지웁니다", "물로", "헹굽니다"}},
	} {
		require.Equal(t, c.sentences, otherSentencesOf(c.text, c.language))
		require.Equal(t, c.words, otherContentWords(c.text, c.language), c.text)
	}
}

func TestPassagesAreReadInTheLanguageOfTheCorpusWhereTheyDoNotTell(t *testing.T) {
	corpus := func(passages ...string) languages {
		var ps []retort.Passage
		for i, text := range passages {
			ps = append(ps, retort.Passage{ID: fmt.Sprint(i), Text: text})
		}
		return extractive(t, ps, Options{}).spoken
	}
	const english = "Fill the kettle with vinegar and rinse it with water after an hour."
	mostlyEnglish := make([]string, 30)
	for i := range mostlyEnglish {
		mostlyEnglish[i] = english
	}
	for _, c := range []struct {
		spoken     languages
		text, want string
	}{
		{corpus(kettles["german"][1]), "Wasserkocher aus Stahl", "german"},
		{corpus(kettles["german"][1]), english, "german"}, // no passage of that corpus is English
		{corpus(kettles["german"][1], english), english, "english"},
		{corpus(kettles["chinese"][1]), "Model X20", "english"},
		{corpus(mostlyEnglish...), kettles["german"][1], "english"}, // names and quotations in an English corpus
		{corpus(mostlyEnglish...), kettles["chinese"][1], "chinese"},
		{corpus(mostlyEnglish...), kettles["russian"][1], "russian"},
	} {
		require.Equal(t, c.want, c.spoken.of(c.text), c.text)
	}
}

func TestSpacesDoNotTellTextsOfScriptsWithoutSpacesApart(t *testing.T) {
	require.Equal(t, Normalize("清除水垢"), Normalize("清除 水垢！"))
	require.NotEqual(t, Normalize("清除水垢"), Normalize("水垢清除"))
	require.NotEqual(t, Normalize("kettle s"), Normalize("kettles"))
	p := retort.Passage{ID: "p", Title: "水壶", Text: "用白醋煮水可以清除水壶里的水垢。煮好以后把水倒掉。"}
	for query, want := range map[string]Reason{
		"用白醋煮水可以清除水壶里的水垢吗": dropCopy,
		"煮好以后 把水倒掉":        dropCopy,
		"怎么去掉水垢":           "",
		"清除水壶里的水垢":         "", // a term of eight characters, as long as four words
		"怎么怎么怎么怎么怎么":       dropRepetition,
	} {
		require.Equal(t, want, cleaner{}.judge(query, p), query)
	}
}

func FuzzOtherLanguages(f *testing.F) {
	for name, k := range kettles {
		f.Add(k[0]+"\n"+k[1], name)
	}
	f.Add("\xff水 ー. 3. ا\u200d", "japanese")
	f.Fuzz(func(t *testing.T, text, name string) {
		text = strings.ToValidUTF8(text, "")
		for _, w := range wordsOf(text, name) {
			require.Equal(t, text[w.start:w.end], w.text)
		}
		for _, s := range otherSentencesOf(text, name) {
			fitted, _ := otherFit(s, 4, 20)
			require.LessOrEqual(t, language.CountWords(fitted), 20)
		}
		otherPhrases(text, name)
	})
}
