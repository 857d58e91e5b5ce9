/*
 * The TOML reader: the rules of TOML 1.0 one by one, what must be refused and
 * where, limits, and a document cut at every byte.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "toml.h"
#include "unit.h"
#include "util.h"

UNIT_SUITE(toml);

#define DUMP_SIZE	4096

struct dump {
	size_t	len;
	char	text[DUMP_SIZE];
};

static void dump_value(struct dump *, const struct toml_value *);

static void
put(struct dump *d, const char *s)
{
	d->len = strlcat(d->text, s, sizeof(d->text));
	ck_assert_uint_lt(d->len, sizeof(d->text));
}

/* Quotes and control bytes as in JSON. */
static void
put_string(struct dump *d, const char *s, size_t len)
{
	char	one[8];
	size_t	i;

	put(d, "\"");
	for (i = 0; i < len; i++) {
		if (s[i] == '"' || s[i] == '\\')
			snprintf(one, sizeof(one), "\\%c", s[i]);
		else if ((unsigned char)s[i] < ' ')
			snprintf(one, sizeof(one), "\\x%02x", s[i]);
		else
			snprintf(one, sizeof(one), "%c", s[i]);
		put(d, one);
	}
	put(d, "\"");
}

static void
dump_members(struct dump *d, const struct toml_value *v)
{
	int	table = toml_type(v) == TOML_TABLE;
	size_t	i;

	put(d, table ? "{" : "[");
	for (i = 0; i < toml_count(v); i++) {
		if (i != 0)
			put(d, ",");
		if (table) {
			put(d, toml_key_at(v, i));
			put(d, "=");
			ck_assert_ptr_eq(toml_get(v, toml_key_at(v, i)),
			    toml_at(v, i));
		}
		dump_value(d, toml_at(v, i));
	}
	put(d, table ? "}" : "]");
}

static void
dump_float(struct dump *d, double n)
{
	char	buf[64];

	if (isnan(n))
		snprintf(buf, sizeof(buf), "nan");
	else
		snprintf(buf, sizeof(buf), "%.17g%s", n,
		    n == floor(n) && fabs(n) < 1e15 ? ".0" : "");
	put(d, buf);
}

static void
dump_value(struct dump *d, const struct toml_value *v)
{
	char		 buf[64];
	const char	*s;
	size_t		 len;
	int64_t		 n;
	double		 f;
	int		 b;

	switch (toml_type(v)) {
	case TOML_STRING:
		ck_assert_ptr_nonnull(s = toml_string(v, &len));
		put_string(d, s, len);
		break;
	case TOML_INTEGER:
		ck_assert_int_eq(toml_integer(v, &n), 0);
		snprintf(buf, sizeof(buf), "%lld", (long long)n);
		put(d, buf);
		break;
	case TOML_FLOAT:
		ck_assert_int_eq(toml_float(v, &f), 0);
		dump_float(d, f);
		break;
	case TOML_BOOLEAN:
		ck_assert_int_eq(toml_boolean(v, &b), 0);
		put(d, b ? "true" : "false");
		break;
	case TOML_DATETIME:
		put(d, "@");
		put(d, toml_datetime(v));
		break;
	case TOML_ARRAY:
	case TOML_TABLE:
		dump_members(d, v);
		break;
	}
}

static const struct {
	const char	*text;
	const char	*dump;
} valid[] = {
	/* comments, line ends */
	{ "", "{}" },
	{ "\n\n", "{}" },
	{ "# all\nkey = \"value\" # some\nother = \"# no\"",
	    "{key=\"value\",other=\"# no\"}" },
	{ "a=1\r\nb=2\r\n# x\r\n", "{a=1,b=2}" },
	{ " \ta\t=\t1 \t# x\ty", "{a=1}" },
	{ "\xef\xbb\xbf" "a=1", "{a=1}" },
	{ "# \xf0\x9f\x98\x80 \xc3\xa9\na=1", "{a=1}" },
	/* keys */
	{ "bare_key = 1\nbare-key = 2\n1234 = 3\n-_- = 4",
	    "{bare_key=1,bare-key=2,1234=3,-_-=4}" },
	{ "\"127.0.0.1\" = 1\n\"\xca\x8e\xc7\x9d\xca\x9e\" = 2\n'key2' = 3\n"
	    "'quoted \"value\"' = 4", "{127.0.0.1=1,\xca\x8e\xc7\x9d\xca\x9e=2,"
	    "key2=3,quoted \"value\"=4}" },
	{ "\"\" = 1", "{=1}" },
	{ "'' = 1", "{=1}" },
	{ "\"a\\tb\" = 1", "{a\tb=1}" },
	{ "name = 1\nphysical.color = 2\nphysical.shape = 3\n"
	    "site.\"google.com\" = true",
	    "{name=1,physical={color=2,shape=3},site={google.com=true}}" },
	{ "fruit . color = 1\nfruit\t.\tflavor = 2",
	    "{fruit={color=1,flavor=2}}" },
	{ "fruit.apple.smooth = true\nfruit.orange = 2",
	    "{fruit={apple={smooth=true},orange=2}}" },
	{ "apple.type = 1\norange.type = 2\napple.skin = 3",
	    "{apple={type=1,skin=3},orange={type=2}}" },
	{ "3.14159 = 1", "{3={14159=1}}" },
	{ "true = 1\ninf = 2\n1979-05-27 = 3", "{true=1,inf=2,1979-05-27=3}" },
	{ "a = 1\nA = 2", "{a=1,A=2}" },
	/* strings */
	{ "s = \"I'm a \\\"string\\\". \\u00E9 \\U0001F600\"",
	    "{s=\"I'm a \\\"string\\\". \xc3\xa9 \xf0\x9f\x98\x80\"}" },
	{ "s = \"\\b\\t\\n\\f\\r\\\"\\\\\"",
	    "{s=\"\\x08\\x09\\x0a\\x0c\\x0d\\\"\\\\\"}" },
	{ "s = \"a\\u0000b\"", "{s=\"a\\x00b\"}" },
	{ "s = \"\\u0080\\u07ff\\u0800\\uffff\\U0010ffff\"",
	    "{s=\"\xc2\x80\xdf\xbf\xe0\xa0\x80\xef\xbf\xbf\xf4\x8f\xbf\xbf\"}" },
	{ "s = \"\"\nt = ''", "{s=\"\",t=\"\"}" },
	{ "s = \"\ttab\"", "{s=\"\\x09tab\"}" },
	{ "s = \"\"\"\nRoses\nViolets\"\"\"", "{s=\"Roses\\x0aViolets\"}" },
	{ "s = \"\"\"\r\nRoses\r\nViolets\"\"\"", "{s=\"Roses\\x0aViolets\"}" },
	{ "s = \"\"\"\n\nx\"\"\"", "{s=\"\\x0ax\"}" },
	{ "s = \"\"\"\nThe quick \\\n\n\n   brown \\\n  fox.\\\n  \"\"\"",
	    "{s=\"The quick brown fox.\"}" },
	{ "s = \"\"\"a \\   \r\n\r\n  b\"\"\"", "{s=\"a b\"}" },
	{ "s = \"\"\"two: \"\". end\"\"\"", "{s=\"two: \\\"\\\". end\"}" },
	{ "s = \"\"\"\"one\"\"\"\"", "{s=\"\\\"one\\\"\"}" },
	{ "s = \"\"\"two\"\"\"\"\"", "{s=\"two\\\"\\\"\"}" },
	{ "s = \"\"\"\"\"two\"\"\"\"\"", "{s=\"\\\"\\\"two\\\"\\\"\"}" },
	{ "s = \"\"\"three: \"\"\\\". end\"\"\"",
	    "{s=\"three: \\\"\\\"\\\". end\"}" },
	{ "s = \"\"\"a\\\\\"\"\"", "{s=\"a\\\\\"}" },
	{ "s = \"\"\"\"\"\"", "{s=\"\"}" },
	{ "s = ''''''", "{s=\"\"}" },
	{ "s = 'C:\\Users\\n'", "{s=\"C:\\\\Users\\\\n\"}" },
	{ "s = '''\nThe first\n  'is' \\n\n'''",
	    "{s=\"The first\\x0a  'is' \\\\n\\x0a\"}" },
	{ "s = ''''That,' she said, 'is'''''", "{s=\"'That,' she said, 'is''\"}" },
	{ "s = '<\\i\\c*\\s*>'", "{s=\"<\\\\i\\\\c*\\\\s*>\"}" },
	/* integers */
	{ "a = +99\nb = 42\nc = 0\nd = -17\ne = -0\nf = +0",
	    "{a=99,b=42,c=0,d=-17,e=0,f=0}" },
	{ "a = 1_000\nb = 5_349_221\nc = 53_49_221\nd = 1_2_3_4_5",
	    "{a=1000,b=5349221,c=5349221,d=12345}" },
	{ "a = 0xDEADBEEF\nb = 0xdead_beef\nc = 0o01234567\nd = 0b1101_0110",
	    "{a=3735928559,b=3735928559,c=342391,d=214}" },
	{ "a = 0x00\nb = 0o755\nc = 0xe1", "{a=0,b=493,c=225}" },
	{ "a = 9223372036854775807\nb = -9223372036854775808",
	    "{a=9223372036854775807,b=-9223372036854775808}" },
	{ "a = 0x7fffffffffffffff", "{a=9223372036854775807}" },
	/* floats */
	{ "a = +1.0\nb = 3.25\nc = -0.5\nd = 5e+22\ne = 1e06\nf = -2E-2",
	    "{a=1.0,b=3.25,c=-0.5,d=4.9999999999999996e+22,e=1000000.0,"
	    "f=-0.02}" },
	{ "a = 6.5e-1\nb = 224_617.445_5\nc = 0e0\nd = 1e1_0",
	    "{a=0.65000000000000002,b=224617.4455,c=0.0,d=10000000000.0}" },
	{ "a = inf\nb = +inf\nc = -inf\nd = nan\ne = +nan\nf = -nan",
	    "{a=inf,b=inf,c=-inf,d=nan,e=nan,f=nan}" },
	{ "a = 0.0\nb = -0.0\nc = +0.0", "{a=0.0,b=-0.0,c=0.0}" },
	{ "a = true\nb = false", "{a=true,b=false}" },
	/* dates and times */
	{ "a = 1979-05-27T07:32:00Z\nb = 1979-05-27T00:32:00-07:00",
	    "{a=@1979-05-27T07:32:00Z,b=@1979-05-27T00:32:00-07:00}" },
	{ "a = 1979-05-27T00:32:00.999999-07:00\nb = 1979-05-27 07:32:00Z",
	    "{a=@1979-05-27T00:32:00.999999-07:00,b=@1979-05-27 07:32:00Z}" },
	{ "a = 1979-05-27T07:32:00\nb = 1979-05-27\nc = 07:32:00\n"
	    "d = 00:32:00.999999 # x",
	    "{a=@1979-05-27T07:32:00,b=@1979-05-27,c=@07:32:00,"
	    "d=@00:32:00.999999}" },
	{ "a = 1979-05-27 # x\nb = 1979-05-27t07:32:00z",
	    "{a=@1979-05-27,b=@1979-05-27t07:32:00z}" },
	{ "a = 2000-02-29\nb = 2024-02-29\nc = 1990-12-31T23:59:60Z",
	    "{a=@2000-02-29,b=@2024-02-29,c=@1990-12-31T23:59:60Z}" },
	{ "a = [1979-05-27 ,07:32:00]", "{a=[@1979-05-27,@07:32:00]}" },
	/* arrays */
	{ "a = [ 1, 2, 3 ]\nb = [[1,2],[\"a\"]]\nc = [0.5, 1, {x=1}]",
	    "{a=[1,2,3],b=[[1,2],[\"a\"]],c=[0.5,1,{x=1}]}" },
	{ "a = [\n 1, # one\n\n 2\n , # two\n]\nb = []\nc = [ # x\n]",
	    "{a=[1,2],b=[],c=[]}" },
	{ "a = [\r\n1,\r\n2\r\n]", "{a=[1,2]}" },
	{ "a = [[], [[]], {}]", "{a=[[],[[]],{}]}" },
	/* tables */
	{ "[table-1]\nkey1 = 1\n[table-2]\nkey1 = 2",
	    "{table-1={key1=1},table-2={key1=2}}" },
	{ "[dog.\"tater.man\"]\ntype.name = \"pug\"",
	    "{dog={tater.man={type={name=\"pug\"}}}}" },
	{ "[ d.e.f ]\n[ g . h ]\n[ j . \"k\" . 'l' ]",
	    "{d={e={f={}}},g={h={}},j={k={l={}}}}" },
	{ "[x.y.z.w]\n[x]\na=1", "{x={y={z={w={}}},a=1}}" },
	{ "[fruit.apple]\n[animal]\n[fruit.orange]",
	    "{fruit={apple={},orange={}},animal={}}" },
	{ "[fruit]\napple.color = 1\napple.taste.sweet = true\n"
	    "[fruit.apple.texture]\nsmooth = true",
	    "{fruit={apple={color=1,taste={sweet=true},"
	    "texture={smooth=true}}}}" },
	{ "a = 1\n[b] # x\nc = 2", "{a=1,b={c=2}}" },
	{ "[a.b]\nx=1\n[a]\ny=2\n[a.c]", "{a={b={x=1},y=2,c={}}}" },
	{ "[a.b.c]\nx=1\n[a]\nb.d=2", "{a={b={c={x=1},d=2}}}" },
	/* inline tables */
	{ "n = { first = \"T\", last = \"P\" }\np = {x=1,y=2}\ne = {}\nf = { }",
	    "{n={first=\"T\",last=\"P\"},p={x=1,y=2},e={},f={}}" },
	{ "a = { type.name = \"pug\", type.age = 1 }",
	    "{a={type={name=\"pug\",age=1}}}" },
	{ "a = { b = [\n1,\n2\n] }", "{a={b=[1,2]}}" },
	/* arrays of tables */
	{ "[[p]]\nname = 1\n[[p]]\n[[p]]\nname = 3",
	    "{p=[{name=1},{},{name=3}]}" },
	{ "[[f]]\nn=1\n[f.p]\nc=2\n[[f.v]]\nn=3\n[[f.v]]\nn=4\n[[f]]\nn=5\n"
	    "[[f.v]]\nn=6", "{f=[{n=1,p={c=2},v=[{n=3},{n=4}]},"
	    "{n=5,v=[{n=6}]}]}" },
	{ "[[a.b]]\nx.y=1\n[[a.b]]\nx.y=2", "{a={b=[{x={y=1}},{x={y=2}}]}}" }
};

START_TEST(test_valid)
{
	struct toml_error  e;
	struct toml_value *v;
	struct dump	   d = { 0, "" };
	const char	  *text = valid[_i].text;

	v = toml_parse(text, strlen(text), &e);
	ck_assert_msg(v != NULL, "%s\n%d:%d %s", text, e.line, e.column,
	    e.text);
	dump_value(&d, v);
	ck_assert_str_eq(d.text, valid[_i].dump);
	toml_free(v);
}
END_TEST

/* The place and a piece of what is said about it. */
static const struct {
	const char	*text;
	int		 line, column;
	const char	*says;
} invalid[] = {
	/* keys */
	{ "key = # nothing", 1, 7, "not a value" },
	{ "first = \"Tom\" last = \"P\"", 1, 15, "end of the line" },
	{ "= \"no key\"", 1, 1, "expected a key" },
	{ "a", 1, 2, "expected =" },
	{ "a b = 1", 1, 3, "expected =" },
	{ "\n\na.= 1", 3, 3, "expected a key" },
	{ ".a = 1", 1, 1, "expected a key" },
	{ "a..b = 1", 1, 3, "expected a key" },
	{ "a\n= 1", 1, 2, "expected =" },
	{ "\xc3\xa9 = 1", 1, 1, "expected a key" },
	{ "\"\"\"a\"\"\" = 1", 1, 1, "one line" },
	{ "'''a''' = 1", 1, 1, "one line" },
	{ "\"a\nb\" = 1", 1, 1, "not closed" },
	{ "\"a\\u0000\" = 1", 1, 1, "\\u0000" },
	{ "a = 1\na = 2", 2, 1, "already; line 1" },
	{ "a = 1\n\"a\" = 2", 2, 1, "already" },
	{ "a.b = 1\na.b.c = 2", 2, 3, "no table" },
	{ "a = 1\na.b = 2", 2, 1, "no table" },
	{ "a.b.c = 1\na.b = 2", 2, 3, "already" },
	/* strings */
	{ "s = \"abc", 1, 5, "not closed" },
	{ "s = \"abc\nd\"", 1, 5, "not closed" },
	{ "s = \"abc\\\nd\"", 1, 5, "not closed" },
	{ "s = 'abc", 1, 5, "not closed" },
	{ "s = 'it's'", 1, 9, "end of the line" },
	{ "s = \"\"\"abc\"\"", 1, 5, "not closed" },
	{ "s = '''abc''", 1, 5, "not closed" },
	{ "s = \"\"\"a\"\"\"\"\"\"", 1, 14, "end of the line" },
	{ "s = '''a''''''", 1, 14, "end of the line" },
	{ "s = \"a\\", 1, 5, "not closed" },
	{ "s = \"\\a\"", 1, 7, "unknown escape" },
	{ "s = \"\\e\"", 1, 7, "unknown escape" },
	{ "s = \"\\x41\"", 1, 7, "unknown escape" },
	{ "s = \"\\ \"", 1, 7, "unknown escape" },
	{ "s = \"\"\"\\ x\"\"\"", 1, 9, "unknown escape" },
	{ "s = \"\\u12\"", 1, 10, "4 hexadecimal" },
	{ "s = \"\\u\"", 1, 8, "4 hexadecimal" },
	{ "s = \"\\U0001F60\"", 1, 15, "8 hexadecimal" },
	{ "s = \"\\ud800\"", 1, 12, "no Unicode scalar" },
	{ "s = \"\\U00110000\"", 1, 16, "no Unicode scalar" },
	{ "s = \"a\x01\"", 1, 7, "control character 0x01" },
	{ "s = \"a\x7f\"", 1, 7, "control character 0x7f" },
	{ "s = 'a\x1f'", 1, 7, "control character" },
	{ "# a\x08", 1, 4, "control character" },
	{ "s = \"\"\"\na\rb\"\"\"", 2, 2, "carriage return" },
	{ "a = 1\rb = 2", 1, 6, "carriage return" },
	{ "# x\r", 1, 4, "carriage return" },
	/* UTF-8 */
	{ "# \xff", 1, 3, "0xff is not UTF-8" },
	{ "s = \"\xc0\x80\"", 1, 6, "UTF-8" },
	{ "s = \"\xed\xa0\x80\"", 1, 6, "UTF-8" },
	{ "s = \"\xe0\x80\x80\"", 1, 6, "UTF-8" },
	{ "s = \"\xf4\x90\x80\x80\"", 1, 6, "UTF-8" },
	{ "s = \"\xf0\x80\x80\x80\"", 1, 6, "UTF-8" },
	{ "s = \"\x80\"", 1, 6, "UTF-8" },
	{ "s = \"\xc3", 1, 6, "UTF-8" },
	/* numbers */
	{ "a = 01", 1, 5, "must not start with 0" },
	{ "a = -01", 1, 5, "must not start with 0" },
	{ "a = 00", 1, 5, "must not start with 0" },
	{ "a = 1__0", 1, 5, "not a value" },
	{ "a = _1", 1, 5, "not a value" },
	{ "a = 1_", 1, 5, "not a value" },
	{ "a = +", 1, 5, "not a value" },
	{ "a = ++1", 1, 5, "not a value" },
	{ "a = 0x", 1, 5, "not a value" },
	{ "a = 0xg", 1, 5, "not a value" },
	{ "a = 0x_1", 1, 5, "not a value" },
	{ "a = +0x1", 1, 5, "not a value" },
	{ "a = -0b1", 1, 5, "not a value" },
	{ "a = 0X1", 1, 5, "not a value" },
	{ "a = 0o8", 1, 5, "not a value" },
	{ "a = 0b2", 1, 5, "not a value" },
	{ "a = 1a", 1, 5, "not a value" },
	{ "a = 9223372036854775808", 1, 5, "64 bits" },
	{ "a = -9223372036854775809", 1, 5, "64 bits" },
	{ "a = 0x8000000000000000", 1, 5, "64 bits" },
	{ "a = .7", 1, 5, "not a value" },
	{ "a = 7.", 1, 5, "not a value" },
	{ "a = 3.e+20", 1, 5, "not a value" },
	{ "a = 1.2.3", 1, 5, "not a value" },
	{ "a = 1e", 1, 5, "not a value" },
	{ "a = 1e5.0", 1, 5, "not a value" },
	{ "a = 1_.5", 1, 5, "not a value" },
	{ "a = 1._5", 1, 5, "not a value" },
	{ "a = 01.5", 1, 5, "must not start with 0" },
	{ "a = 1e999", 1, 5, "too great" },
	{ "a = Inf", 1, 5, "not a value" },
	{ "a = NaN", 1, 5, "not a value" },
	{ "a = infinity", 1, 5, "not a value" },
	{ "a = True", 1, 5, "not a value" },
	{ "a = truer", 1, 5, "not a value" },
	{ "a = yes", 1, 5, "not a value" },
	/* dates */
	{ "a = 1979-13-01", 1, 5, "no such date" },
	{ "a = 1979-00-01", 1, 5, "no such date" },
	{ "a = 1979-02-29", 1, 5, "no such date" },
	{ "a = 1900-02-29", 1, 5, "no such date" },
	{ "a = 1979-04-31", 1, 5, "no such date" },
	{ "a = 1979-5-27", 1, 5, "no such date" },
	{ "a = 1979-05-27T", 1, 5, "no such date" },
	{ "a = 1979-05-27T07:32", 1, 5, "no such date" },
	{ "a = 1979-05-27T24:00:00", 1, 5, "no such date" },
	{ "a = 1979-05-27T00:60:00", 1, 5, "no such date" },
	{ "a = 1979-05-27T00:00:61", 1, 5, "no such date" },
	{ "a = 1979-05-27T00:00:00.", 1, 5, "no such date" },
	{ "a = 1979-05-27T00:00:00+25:00", 1, 5, "no such date" },
	{ "a = 1979-05-27T00:00:00+01:60", 1, 5, "no such date" },
	{ "a = 1979-05-27T00:00:00+01", 1, 5, "no such date" },
	{ "a = 1979-05-27Z", 1, 5, "no such date" },
	{ "a = 07:32", 1, 5, "no such date" },
	{ "a = 07:32:00Z", 1, 5, "no such date" },
	{ "a = 1979-05-27 x", 1, 16, "end of the line" },
	{ "a = 1979-05-27  07:32:00", 1, 17, "end of the line" },
	/* arrays */
	{ "a = [1, 2", 1, 5, "array is not closed" },
	{ "a = [", 1, 5, "array is not closed" },
	{ "a = [1 2]", 1, 8, "expected , or ]" },
	{ "a = [,1]", 1, 6, "not a value" },
	{ "a = [1,,2]", 1, 8, "not a value" },
	{ "a = [1]]", 1, 8, "end of the line" },
	{ "a = [b = 1]", 1, 6, "not a value" },
	/* tables */
	{ "[a]\nb = 1\n[a]", 3, 2, "defined twice; line 1" },
	{ "[a]\nb = 1\n[a.b]", 3, 4, "defined twice" },
	{ "[a]\nb = 1\n[a.b.c]", 3, 4, "is a value" },
	{ "[]", 1, 2, "expected a key" },
	{ "[a", 1, 3, "expected ]" },
	{ "[a.]", 1, 4, "expected a key" },
	{ "[a..b]", 1, 4, "expected a key" },
	{ "[a] b = 1", 1, 5, "end of the line" },
	{ "[a]]", 1, 4, "end of the line" },
	{ "[[a]", 1, 5, "expected ]]" },
	{ "[[a] ]", 1, 5, "expected ]]" },
	{ "[ [a]]", 1, 3, "expected a key" },
	{ "[a\n]", 1, 3, "expected ]" },
	{ "a = 1\n[a]", 2, 2, "defined twice" },
	{ "[fruit]\napple.color = 1\n[fruit.apple]", 3, 8, "defined twice" },
	{ "[fruit]\napple.taste.sweet = 1\n[fruit.apple.taste]", 3, 14,
	    "defined twice" },
	{ "[a.b.c]\nz=9\n[a]\nb.c.t = 1", 4, 3, "complete" },
	{ "[a.b]\n[a]\nb.c = 1\n", 3, 1, "complete" },
	{ "a.b = 1\n[a]", 2, 2, "defined twice" },
	/* inline tables */
	{ "a = { x = 1, }", 1, 14, "expected a key" },
	{ "a = { x = 1", 1, 12, "expected , or }" },
	{ "a = { x = 1\n}", 1, 12, "expected , or }" },
	{ "a = {\nx = 1}", 1, 6, "expected a key" },
	{ "a = { x = 1, x = 2 }", 1, 14, "already" },
	{ "a = { x = 1 y = 2 }", 1, 13, "expected , or }" },
	{ "a = { , }", 1, 7, "expected a key" },
	{ "a = { b = 1 }\na.c = 2", 2, 1, "complete" },
	{ "a = { b = 1 }\n[a.c]", 2, 2, "inline table" },
	{ "a = { b = 1 }\n[a]", 2, 2, "defined twice" },
	{ "a.b = { c = 1 }\na.b.d = 2", 2, 3, "complete" },
	{ "a = { b = { c = 1 }, b.d = 2 }", 1, 22, "complete" },
	{ "a = { b.c = 1, b = 2 }", 1, 16, "already" },
	{ "a = { b = 1 # x\n}", 1, 13, "expected , or }" },
	/* arrays of tables */
	{ "a = []\n[[a]]", 2, 3, "array of tables" },
	{ "a = [{}]\n[a.b]", 2, 2, "array of values" },
	{ "[a]\n[[a]]", 2, 3, "array of tables" },
	{ "[a.b]\n[[a]]", 2, 3, "array of tables" },
	{ "[[a]]\n[a]", 2, 2, "defined twice" },
	{ "[[a.b]]\n[a]\nb.c = 1", 3, 1, "no table" },
	{ "[[a]]\nb = 1\n[[a.b]]", 3, 5, "array of tables" },
	{ "[[a]]\n[[a.b]]\n[a.b]", 3, 4, "defined twice" },
	{ "[[a]]\n[a.b]\n[[a.b]]", 3, 5, "array of tables" }
};

START_TEST(test_invalid)
{
	struct toml_error e;
	const char	 *text = invalid[_i].text;

	ck_assert_msg(toml_parse(text, strlen(text), &e) == NULL,
	    "was accepted: %s", text);
	ck_assert_msg(strstr(e.text, invalid[_i].says) != NULL &&
	    e.line == invalid[_i].line && e.column == invalid[_i].column,
	    "%s\nsays %d:%d %s", text, e.line, e.column, e.text);
}
END_TEST

START_TEST(test_nul)
{
	struct toml_error e;

	ck_assert_ptr_null(toml_parse("a = \"\0\"", 7, &e));
	ck_assert_int_eq(e.column, 6);
	ck_assert_ptr_null(toml_parse("a = 1\0", 6, &e));
	ck_assert_int_eq(e.column, 6);
}
END_TEST

/* Getters of another type say so and touch nothing. */
START_TEST(test_getters)
{
	static const char	 text[] = "s = \"x\"\n\nn = 1\n[t]\n";
	struct toml_error	 e;
	struct toml_value	*root;
	const struct toml_value	*s, *n;
	int64_t			 i = 7;
	double			 f = 7;
	int			 b = 7;

	root = toml_parse(text, strlen(text), &e);
	ck_assert_ptr_nonnull(root);
	s = toml_get(root, "s");
	n = toml_get(root, "n");
	ck_assert_int_eq(toml_line(s), 1);
	ck_assert_int_eq(toml_line(n), 3);
	ck_assert_int_eq(toml_line(toml_get(root, "t")), 4);
	ck_assert_ptr_null(toml_string(n, NULL));
	ck_assert_str_eq(toml_string(s, NULL), "x");
	ck_assert_int_eq(toml_integer(s, &i), -1);
	ck_assert_int_eq(toml_float(n, &f), -1);
	ck_assert_int_eq(toml_boolean(s, &b), -1);
	ck_assert(i == 7 && b == 7 && f >= 7 && f <= 7);
	ck_assert_ptr_null(toml_datetime(s));
	ck_assert_ptr_null(toml_get(s, "x"));
	ck_assert_ptr_null(toml_get(root, "none"));
	ck_assert_ptr_null(toml_at(root, 3));
	ck_assert_ptr_null(toml_key_at(root, 3));
	ck_assert_uint_eq(toml_count(s), 0);
	toml_free(root);
	toml_free(NULL);
}
END_TEST

/* --- limits ------------------------------------------------------------ */

/* head, n times what, tail. */
static char *
repeat(const char *head, const char *what, size_t n, const char *tail)
{
	size_t	 size = strlen(head) + strlen(what) * n + strlen(tail) + 1;
	char	*s, *p;

	ck_assert_ptr_nonnull(p = s = malloc(size));
	p = stpcpy(p, head);
	while (n-- > 0)
		p = stpcpy(p, what);
	stpcpy(p, tail);
	return (s);
}

static int
parses(char *text, const char *says)
{
	struct toml_error  e;
	struct toml_value *v = toml_parse(text, strlen(text), &e);

	free(text);
	if (v == NULL) {
		ck_assert_msg(strstr(e.text, says) != NULL, "%s", e.text);
		return (0);
	}
	toml_free(v);
	return (1);
}

static char *
nested(const char *open, const char *mid, const char *close, size_t n)
{
	char	*a = repeat("a = ", open, n, mid), *b;

	b = repeat(a, close, n, "\n");
	free(a);
	return (b);
}

START_TEST(test_depth)
{
	static const char	deep[] = "nested deeper than 32";
	const size_t		max = TOML_MAX_DEPTH;

	ck_assert(parses(nested("[", "", "]", max), ""));
	ck_assert(!parses(nested("[", "", "]", max + 1), deep));
	ck_assert(!parses(repeat("a = ", "[", 100000, ""), deep));
	ck_assert(parses(nested("{a=", "1", "}", max - 1), ""));
	ck_assert(!parses(nested("{a=", "1", "}", max + 1), deep));
	ck_assert(!parses(repeat("a = ", "{a=", 100000, ""), deep));
	ck_assert(parses(repeat("a", ".a", max - 1, " = 1"), ""));
	ck_assert(!parses(repeat("a", ".a", max, " = 1"), deep));
	ck_assert(parses(repeat("[a", ".a", max - 1, "]"), ""));
	ck_assert(!parses(repeat("[a", ".a", max, "]"), deep));
	ck_assert(!parses(repeat("[a", ".a", max - 1, "]\nb=1"), deep));
	ck_assert(!parses(repeat("[[a", ".a", max - 1, "]]"), deep));
	/* Every element of an array of tables is one level more. */
	ck_assert(parses(strdup("[[a]]\n[[a.b]]\n[[a.b.c]]\nd.e=[[1]]"), ""));
}
END_TEST

START_TEST(test_size)
{
	char	*text;
	size_t	 n = TOML_MAX_SIZE;

	text = repeat("#", "x", n - 1, "");
	ck_assert(parses(text, ""));
	text = repeat("#", "x", n, "");
	ck_assert(!parses(text, "longer than 1048576"));
	ck_assert(parses(repeat("a = \"", "x", n - 6, "\""), ""));
	ck_assert(!parses(repeat("a = 1", "0", n - 5, ""), "64 bits"));
	ck_assert(parses(repeat("a = 0.", "1", n - 6, ""), ""));
}
END_TEST

START_TEST(test_values)
{
	size_t	n = TOML_MAX_VALUES;

	ck_assert(parses(repeat("a = [", "1,", n - 1, "]"), ""));
	ck_assert(!parses(repeat("a = [", "1,", n, "]"), "more than 65536"));
	ck_assert(!parses(repeat("", "[[a]]\n", n, ""), "more than 65536"));
}
END_TEST

/* Many keys in one table must not take the square of their number. */
START_TEST(test_many_keys)
{
	char	*text, *p;
	int	 i, n = 60000;

	ck_assert_ptr_nonnull(p = text = malloc((size_t)n * 12));
	for (i = 0; i < n; i++)
		p += sprintf(p, "k%d = 1\n", i);
	ck_assert(parses(text, ""));
}
END_TEST

/* --- broken documents -------------------------------------------------- */

/* Every document that the tables have, in a row, each below a header. */
static char *
big_document(size_t *len)
{
	char	*text, *p;
	size_t	 i, size = 1;

	for (i = 0; i < nitems(valid); i++)
		size += strlen(valid[i].text) + 16;
	ck_assert_ptr_nonnull(p = text = malloc(size));
	for (i = 0; i < nitems(valid); i++)
		if (strchr(valid[i].text, '[') != valid[i].text &&
		    valid[i].text[0] != '\xef' &&
		    strstr(valid[i].text, "\n[") == NULL)
			p += sprintf(p, "[t%zu]\n%s\n", i, valid[i].text);
	*len = (size_t)(p - text);
	return (text);
}

/* A copy without a byte behind it, so that a read too far is seen. */
static int
parses_exactly(const char *text, size_t len)
{
	struct toml_error  e;
	struct toml_value *v;
	char		  *copy;
	int		   ok;

	ck_assert_ptr_nonnull(copy = malloc(len == 0 ? 1 : len));
	memcpy(copy, text, len);
	v = toml_parse(copy, len, &e);
	ok = v != NULL;
	if (!ok)
		ck_assert(e.line >= 1 && e.column >= 1 && e.text[0] != '\0');
	toml_free(v);
	free(copy);
	return (ok);
}

START_TEST(test_truncated)
{
	size_t	 i, len;
	char	*text = big_document(&len);

	ck_assert(parses_exactly(text, len));
	for (i = 0; i < len; i++)
		parses_exactly(text, i);
	free(text);
}
END_TEST

/* One byte changed, everywhere, to what means something. */
START_TEST(test_mutated)
{
	static const char bytes[] = "\"'[]{}=.,#\\\n\r0-\x01\xff";
	size_t		  i, len;
	char		 *text = big_document(&len), old;

	for (i = 0; i < len; i++) {
		old = text[i];
		text[i] = bytes[i % (sizeof(bytes) - 1)];
		parses_exactly(text, len);
		text[i] = old;
	}
	ck_assert(parses_exactly(text, len));
	free(text);
}
END_TEST

Suite *
toml_suite(void)
{
	Suite	*s = suite_create("toml");
	TCase	*tc = tcase_create("toml");

	tcase_set_timeout(tc, 120);
	tcase_add_loop_test(tc, test_valid, 0, nitems(valid));
	tcase_add_loop_test(tc, test_invalid, 0, nitems(invalid));
	tcase_add_test(tc, test_nul);
	tcase_add_test(tc, test_getters);
	tcase_add_test(tc, test_depth);
	tcase_add_test(tc, test_size);
	tcase_add_test(tc, test_values);
	tcase_add_test(tc, test_many_keys);
	tcase_add_test(tc, test_truncated);
	tcase_add_test(tc, test_mutated);
	suite_add_tcase(s, tc);
	return (s);
}
