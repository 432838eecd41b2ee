"""Writes differential.json: random templates over what chat templates use, as transformers renders them (Jinja2 with
trim_blocks, lstrip_blocks, loop controls and the generation tag). Another seed tries other templates:

    python3 make_differential.py SEED SECONDS FILE
"""

import json
import pathlib
import random
import sys
import time

from transformers.utils.chat_template_utils import _compile_jinja_template
seed, seconds, file = int(sys.argv[1]), float(sys.argv[2]), pathlib.Path(sys.argv[3])
rnd = random.Random(seed)
R=rnd.random; C=rnd.choice
strs=["''","'a'","'b c'","\"it's\"","'\\n'","' x\\t'","'user'","'role'","'é'","'\\u3000y\\u00a0'","'10'","'9'","'-7'","'A-b'","'a,b'","','","' '","'content'","'items'","'<|x|>'","'a\\\\b'","'}}'","'%}'","'{#'","'\\d'"]
names=["messages","bos_token","eos_token","add_generation_prompt","missing","x","y","m","ns","tools","strftime_now","l","d"]
filters=["trim","length","count","upper","lower","capitalize","title","string","list","first","last","reverse","items","default","default('z')","default('z', true)","default('z', boolean=true)","d('q')","join","join(',')","join(', ')","replace('a','b')","replace('','-')","tojson","tojson(indent=2)","map(attribute='role')","map(attribute='content')","map('upper')","selectattr('role','equalto','user')","selectattr('content')","rejectattr('role','equalto','user')","selectattr('role','defined')","selectattr('z','undefined')","int","float","abs","safe","e","sort","unique","round","select","reject('none')","wordcount","indent","dictsort","min","max","sum","batch(2)","select('string')","int","first","list"]
methods=["strip()","lstrip()","rstrip()","strip('a')","lstrip('x ')","rstrip('\\n')","split('a')","split(',')","split()","split(',', 1)","startswith('a')","endswith('c')","replace('a','bb')","replace('a','b',1)","count('a')","upper()","lower()","title()","capitalize()","get('role')","get('zz','k')","get('content')","items()","keys()","values()","find('c')","index('a')","format(1)","append('q')","pop()","join(['a'])","isdigit()"]
tests=["defined","undefined","none","string","number","integer","float","boolean","mapping","iterable","sequence","callable","true","false","odd","even","equalto('a')","eq 'a'","in ['a','b']","ne(1)","divisibleby(2)","sameas none","lower","upper","not_a_test","== 'a'"]
binops=["+","-","*","//","%","/","~","~","==","!=","<","<=",">",">=","in","not in","and","or"]
def prim(d):
    r=R()
    if r<.3: return C(strs)
    if r<.42: return str(C([0,1,2,3,7,10,-1,-7,"1.5","2.0"]))
    if r<.5: return C(["true","false","none","True","None","null"])
    if r<.8: return C(names)
    if r<.84: return C(["loop.index","loop.index0","loop.first","loop.last","loop.length","loop.revindex","loop.previtem","loop.nextitem","loop.depth","loop.cycle('a','b')","loop.previtem.role","loop"])
    if d<=0: return C(strs)
    if r<.88: return "["+", ".join(expr(d-1) for _ in range(rnd.randint(0,3)))+"]"
    if r<.90: return "("+", ".join(expr(d-1) for _ in range(rnd.randint(1,3)))+C(["",","])+")"
    if r<.92: return "{"+", ".join(C(strs+["1","none"])+": "+expr(d-1) for _ in range(rnd.randint(0,2)))+"}"
    if r<.94: return C(["range(%d)"%rnd.randint(-2,4),"range(1,4)","range(5,0,-2)","range(2)","namespace(a=1)","dict(a=1,b='c')","raise_exception('no')","namespace()","dict()"])
    if r<.97: return C(["f","g","undefinedf","q"])+"("+", ".join([expr(d-1) for _ in range(rnd.randint(0,2))]+(["b="+expr(0)] if R()<.3 else []))+")"
    return "("+expr(d-1)+")"
def post(d):
    e=prim(d)
    while R()<.35:
        r=R()
        if r<.2: e+="."+C(["role","content","a","b","zz","items","0","x"])
        elif r<.4: e+="["+C(["0","-1","'role'","'content'","1","'a'","9","missing","'items'"]+([expr(d-1)] if d>0 else []))+"]"
        elif r<.55: e+=C(["[1:]","[:-1]","[:]","[::-1]","[0:2]","[-9:2]","[1:9]","[::2]","[2:1]","[none:1]","[-2:]","[:-9]"])
        elif r<.7: e+="."+C(methods)
        elif r<.9: e+=C([" | ","|"])+C(filters)
        else: e+=" is "+C(["","not "])+C(tests)
    return e
def expr(d):
    r=R()
    if d<=0 or r<.45: return post(d)
    if r<.8: return expr(d-1)+" "+C(binops)+" "+expr(d-1)
    if r<.86: return "not "+expr(d-1)
    if r<.9: return "-"+post(d-1)
    if r<.97: return expr(d-1)+" if "+expr(d-1)+(" else "+expr(d-1) if R()<.7 else "")
    return "("+expr(d-1)+")"
def op(): return C(["","","","-","+"])
def cl(): return C(["","","","","-","+"])
def tag(s): return "{%"+op()+" "+s+" "+cl()+"%}"
def text(): return C(["","a"," ","\n","  \n","\n  ","x\n y","{","\t","\n\n","}","%}","#","\r\n  ","\u00a0","' \" ","é"])
inloop=[0]
def body(d):
    return "".join(stmt(d)+text() for _ in range(rnd.randint(0,3)))
def stmt(d):
    r=R()
    if d<=0 or r<.35:
        return "{{"+C(["","","-","+"])+" "+expr(2)+" "+C(["","","-"])+"}}"
    if r<.40: return "{#"+op()+" c "+C(["","-","+"])+"#}"
    if r<.55: return tag("set "+C(["x","y","m","l","d"])+" = "+expr(2))
    if r<.59: return tag("set ns."+C(["a","b"])+" = "+expr(2))
    if r<.61: return tag("set x")+body(d-1)+tag("endset")
    if r<.75:
        s=tag("if "+expr(2))+body(d-1)
        if R()<.3: s+=tag("elif "+expr(1))+body(d-1)
        if R()<.4: s+=tag("else")+body(d-1)
        return s+tag("endif")
    if r<.9:
        it=C(["messages","messages[1:]","messages | reverse","range(3)","['a','b']","'ab'","d","d.items()","[[1,2],['x','y']]","missing","[]","messages[::-1]"]) if R()<.8 else expr(1)
        s=tag("for "+C(["m","m","m","x","k, v","y"])+" in "+it+(" if "+expr(1) if R()<.2 else ""))
        inloop[0]+=1
        s+=body(d-1)
        if R()<.15: s+=tag("if "+expr(1))+tag(C(["break","continue"]))+tag("endif")+body(d-1)
        inloop[0]-=1
        if R()<.15: s+=tag("else")+body(d-1)
        return s+tag("endfor")
    if r<.92: return tag("generation")+body(d-1)+tag("endgeneration")
    if r<.94: return "{%"+op()+" raw "+C(["","-"])+"%} {{ x }} {% y %} \n {%"+op()+" endraw "+cl()+"%}"
    if r<.97: return tag("macro "+C(["f(a, b='q')","g(x)","f(x, b=none)","g()"]))+body(d-1)+tag("endmacro")
    return tag(C(["break","continue","do x","include 'a'","call f()","filter upper","with","endif","autoescape true"]))
pre="{% set ns = namespace(a='n', b=0) %}{% set l = ['p', 'q', 'p'] %}{% set d = {'k': 'v', 'a': 1} %}{% set x = 'X' %}"
convs=[[("user","hi a")],[("system"," s "),("user","u\n"),("assistant","\u3000z")],[("user",""),("assistant","a,b,c")],[]]
out, start = [], time.time()
while time.time() - start < seconds:
    src = (pre if R() < .8 else "") + "".join(stmt(3) + text() for _ in range(rnd.randint(1, 3)))
    ms = [{"role": r, "content": c} for r, c in C(convs)]
    case = {"source": src, "messages": ms, "prompt": R() < .5}
    try:
        t = _compile_jinja_template(src)
        case["text"] = t.render(messages=ms, bos_token="<s>", eos_token="</s>", add_generation_prompt=case["prompt"])
    except Exception as e:
        case["error"] = type(e).__name__
        if R() > 0.05:
            continue
    if len(src) < 600:
        out.append(case)
file.write_text(json.dumps(out, ensure_ascii=False, separators=(",", ":")).replace('{"source"', '\n{"source"') + "\n")
