"""Every sentence of the page in every language it speaks: one key, one meaning, the same keys in each language.

Texts may hold <b>, <em> and {fields}; what goes into the fields is escaped before it comes here. Numbers and units stay
as they are in every language.
"""

from collections.abc import Mapping
from typing import Final

from picojoule.quantity import InputError

_EN: Final = {
    "lang": "en", "and": " and ", "comma": ", ", "semicolon": "; ", "stop": ".",
    "title": "{model} on {devices}", "skip": "Skip to the report", "top": "picojoule, top of the report",
    "nav": "Sections", "theme": "Switch between light and dark", "to_light": "light", "to_dark": "dark",
    # Six parts, from the multiplier outwards
    "arithmetic": "Arithmetic", "registers": "Registers", "network": "Network", "on-chip": "On-chip memory",
    "off-chip": "Off-chip memory", "static": "Static power", "parts": "Parts of the machine",
    # Scopes
    "scope": "Scope", "scope_device": "device", "scope_macro": "macro", "scope_path": "path", "scope_board": "board",
    "scope_wall": "wall", "scope_facility": "facility", "scope_unknown": "unknown",
    "about_device": "the chip or memory device itself",
    "about_macro": "one block inside a chip: an array, a buffer, a multiplier",
    "about_path": "device, interface and controller on the way of the data",
    "about_board": "the whole card: chip, memory, converters, fan",
    "about_wall": "what the power plug gives", "about_facility": "the wall and the cooling of the building",
    # Provenance
    "seen": "seen", "seen (secondary)": "seen (secondary)", "derived": "derived", "measured": "measured",
    "fitted": "fitted", "recalled": "recalled", "about_seen": "read in the source itself",
    "about_seen (secondary)": "read in a document that cites the source",
    "about_derived": "worked out from sourced numbers", "about_measured": "measured on the device",
    "about_fitted": "fitted to measurements", "about_recalled": "from memory of the source; check before relying on it",
    # Head
    "macs": "multiply-adds", "params": "parameters", "operators": "operators", "uncounted": "uncounted",
    "input": "input", "folded": "shown as {n} blocks: equal layers are folded", "machine": "Machine",
    "energy_run": "Energy of one run", "time_run": "Time of one run", "energy": "Energy", "time": "Time",
    "power": "Mean power", "traffic": "Off-chip traffic", "per_sample": "{x} per sample", "batch": "batch {n}",
    "level": "{level} level", "run": "run", "sample": "sample",
    "v_one": "One {unit} costs <b>{energy}</b> on {a} {interval} and takes <b>{time}</b>",
    "v_less": "One {unit} costs <b>{factor} less energy</b> on {a} than on {b} {interval}",
    "v_alike": "By the energy of one {unit}, {a} and {b} cannot be told apart: the ratio is <b>{factor}</b> {interval}",
    "v_faster": "; {a} finishes <b>{factor} sooner</b>",
    "v_sooner": " and finishes <b>{factor} sooner</b>", "v_later": " but finishes <b>{factor} later</b>",
    "v_same_time": " and takes about as long",
    "v_least": "Of {n} machines {a} needs the least energy for one {unit}", "v_more": "{b} needs <b>{factor}</b> {interval}",
    "v_spends": "{a} spends most on {p1} ({s1}) and {p2} ({s2})", "v_spends_one": "{a} spends all of it on {p1}",
    "shared": "90 %, shared draws", "no_shared": "no interval: the draws are not shared",
    "warn_scopes": "<b>These joules do not include the same things.</b> {list}. The ratio compares them all the same: "
                   "read it with that in mind.",
    "warn_levels": "<b>The devices are estimated at different levels.</b> {list}.",
    "warn_batches": "<b>The batch sizes differ</b>: {list}. Ratios are per sample.",
    "warn_uncounted": "<b>{n} operators could not be counted</b>, so every total is too low: {list}",
    "warnings": "Warnings", "more": "and {n} more",
    # Over batches
    "n_batches": "Batches", "h_batches": "What one more in the batch saves", "token": "token",
    "l_batches": "Energy of each item against the batch, both axes logarithmic. Bands are 90 % intervals; rings are published "
                 "measurements of this very model, machine and format. The rest of this page is of the batch named first.",
    "b_estimate": "Estimate", "b_predicted": "Prediction by device laws", "b_short": "Prediction", "b_measured": "Measured",
    "b_axis": "joules a {item}", "b_batch": "batch",
    "b_caption": "Joules a {item} by batch", "a_batches": "Joules a {item} against batch on {device}; the figures are in the "
                 "table below", "b_sees": "Each step makes one token that sees {n} tokens.",
    "b_server": "The prediction holds kernels and serving software, without prompts of new requests.",
    "b_kernels": "The prediction holds the kernels, run one by one.", "b_none": "No prediction: {why}.",
    "b_load": "Measured under a server's load, with requests of some hundred tokens: compare with a context as short.",
    # Skyline
    "n_time": "Time", "h_time": "Where the time and the power go",
    "l_time": "Width is time, height is power, so the painted area <em>is</em> the energy. Each block is one operator; "
              "its colours run from the multiplier outwards. Point at one, or step with ← and →.",
    "l_time_static": "Width is time, height is power, so the painted area <em>is</em> the energy. Each block is one "
                     "operator; its colours run from the multiplier outwards.",
    "in_time": "in", "mean": "mean", "axis_time": "time →", "sheet_power": "{x} on the sheet",
    "a_sky": "{device}: power over time, one block for each operator. Left and right arrow keys step through them.",
    "chart": "chart", "a_read": "The chosen operator", "no_pick": "No operator chosen", "close": "Close",
    # Parts, modules
    "n_parts": "Joules", "h_parts": "Where the joules go",
    "l_parts": "By part of the machine, then by module of the network: width is energy.",
    "h_modules": "By module", "a_icicle": "Energy by module on {device}; the table of operators has the same numbers",
    # Roofline
    "n_roof": "Roofline", "h_roof": "What bounds each operator",
    "l_roof": "Solid: the roof this level can reach; dashed: the data sheet. The area of a mark is its share of the time. "
              "<span class=\"nb\"><i class=\"key c\"></i>waits for arithmetic</span> "
              "<span class=\"nb\"><i class=\"key m\"></i>for memory</span> "
              "<span class=\"nb\"><i class=\"key l\"></i>for its launch</span>",
    "axis_ai": "operations per byte of {memory} →", "n_compute": "{n} wait for arithmetic",
    "n_memory": "{n} for memory", "n_launch": "{n} for their launch", "ridge": "ridge at {x} per byte",
    "reach": "{x} within reach", "reach_of": "{x} of {y} within reach",
    "sheet": "{x} on the sheet", "unseen": "{n} without arithmetic or traffic are not drawn",
    "a_roof": "{device}: operations per second against operations per byte; the table has each operator's bound",
    # Levels
    "n_nests": "Mappings", "h_nests": "How the dearest layers run",
    "l_nests": "Each card is a memory, the outermost first: the loops that run there, how full its tiles make it, and "
               "the bytes read and written. These nests are the best of all, by proof.",
    "role_input": "inputs", "role_weight": "weights", "role_output": "outputs and sums", "cycles": "cycles",
    "busy": "of the array busy", "proven": "proven optimal", "gap": "at most {gap} above the optimum",
    "tensors": "Tensors", "pes": "{used} of {all} elements", "bypassed": "{role} pass by",
    "n_levels": "Levels", "h_levels": "The levels, one answer",
    "l_levels": "Each level sees more of the machine and may only add cost. The band is the 90 % interval; this page "
                "uses the level in bold.",
    "nominal": "Nominal", "interval": "90 % interval", "level_name": "Level",
    "warn_order": "{a} is above {b} on {device}: a deeper level must not cost less. Please report this.",
    # What the answer hangs on
    "n_why": "Uncertainty", "h_why": "What the answer hangs on",
    "l_why": "How far the total moves when one number goes to the ends of its own 90 % interval and all others stay. "
             "Narrow the first line before anything else.",
    "price": "Price or rate", "effect": "Effect on the total", "swing": "Swing", "minor": "{n} others move it by less",
    "still": "No number of this estimate moves its energy.",
    # Table
    "n_ops": "Operators", "h_ops": "Every operator", "l_ops_js": "Click a heading to sort; choose a row to mark the "
    "operator in every chart.", "l_ops": "In the order in which they run.", "filter": "Filter",
    "filter_hint": "layer3, conv, launch …", "hits": "{n} of {m}", "operator": "Operator", "kind": "Kind", "mac": "MAC",
    "bound": "Waits for", "total": "Total", "csv": "CSV", "json": "JSON", "a_csv": "Download the table as CSV",
    "a_json": "Download the data as JSON", "a_table": "Operators, scrollable table",
    "caption": "Every operator with its count, energy and time on each device", "of_total": "{x} of the total",
    "b_compute": "arithmetic", "b_launch": "launch", "b_nothing": "nothing", "moved": "at {memory}", "share": "share",
    # Sources
    "n_src": "Sources", "h_src": "Sources, notes and how to repeat this",
    "l_src": "Each physical number of this page, the factor that reaches to either end of its 90 % interval, what it "
             "includes and where it comes from.",
    "h_prices": "Prices: energy of one action", "h_rates": "Rates and times", "h_refs": "References",
    "h_notes": "Notes", "h_words": "Words", "h_repeat": "Repeat", "number": "Number", "device": "Device",
    "value": "Value", "factor": "90 % factor", "known": "How known", "source": "Source", "exact": "exact",
    "a_src": "Prices, rates and their sources, scrollable table", "a_command": "Command that repeats this report",
    "stamp": "picojoule {version} · level {level} · seed {seed} · {draws} draws",
    "no_reference": "no text for this key",
}  # fmt: skip

_ZH: Final = {
    "lang": "zh-Hans", "and": "和", "comma": "、", "semicolon": "；", "stop": "。",
    "title": "{model} 在 {devices} 上", "skip": "跳到报告正文", "top": "picojoule，回到页首",
    "nav": "章节", "theme": "切换浅色与深色", "to_light": "浅色", "to_dark": "深色",
    "arithmetic": "运算", "registers": "寄存器", "network": "互连网络", "on-chip": "片上存储",
    "off-chip": "片外存储", "static": "静态功耗", "parts": "机器的各个部分",
    "scope": "范围", "scope_device": "器件", "scope_macro": "宏单元", "scope_path": "通路", "scope_board": "板卡",
    "scope_wall": "插座", "scope_facility": "机房", "scope_unknown": "未知",
    "about_device": "芯片或存储器件本身", "about_macro": "芯片内的一个模块：阵列、缓冲或乘法器",
    "about_path": "数据经过的器件、接口和控制器", "about_board": "整块板卡：芯片、内存、电源转换和风扇",
    "about_wall": "插座处的供电", "about_facility": "插座供电加上机房散热",
    "seen": "原文", "seen (secondary)": "转引", "derived": "推导", "measured": "实测", "fitted": "拟合", "recalled": "记忆",
    "about_seen": "直接读自该来源", "about_seen (secondary)": "读自引用该来源的文献",
    "about_derived": "由有来源的数值推算", "about_measured": "在设备上测得", "about_fitted": "由测量数据拟合",
    "about_recalled": "凭记忆引用该来源，使用前请核对",
    "macs": "次乘加", "params": "个参数", "operators": "个算子", "uncounted": "个未计入",
    "input": "输入", "folded": "显示为 {n} 个方块：相同的层已折叠", "machine": "设备",
    "energy_run": "一次运行的能量", "time_run": "一次运行的时间", "energy": "能量", "time": "时间",
    "power": "平均功率", "traffic": "片外流量", "per_sample": "每个样本 {x}", "batch": "批大小 {n}",
    "level": "层级 {level}", "run": "次运行", "sample": "个样本",
    "v_one": "一{unit}在 {a} 上耗能 <b>{energy}</b>{interval}，用时 <b>{time}</b>",
    "v_less": "对一{unit}，{b} 的能耗是 {a} 的 <b>{factor}</b>{interval}",
    "v_alike": "对一{unit}，{a} 与 {b} 的能耗分不出高下：比值为 <b>{factor}</b>{interval}",
    "v_faster": "；{b} 的用时是 {a} 的 <b>{factor}</b>",
    "v_sooner": "，用时是其 <b>{factor}</b>", "v_later": "，但 {a} 的用时是 {b} 的 <b>{factor}</b>",
    "v_same_time": "，用时相近",
    "v_least": "在 {n} 台设备中，{a} 处理一{unit}的能耗最低", "v_more": "{b} 是它的 <b>{factor}</b>{interval}",
    "v_spends": "{a} 的能量主要用于{p1}（{s1}）和{p2}（{s2}）", "v_spends_one": "{a} 的能量全部用于{p1}",
    "shared": "90 % 区间，共享抽样", "no_shared": "无区间：抽样不共享",
    "warn_scopes": "<b>各设备的能量所含范围不同。</b>{list}。这里仍给出比值，解读时请注意。",
    "warn_levels": "<b>各设备的估算层级不同。</b>{list}。",
    "warn_batches": "<b>批大小不同</b>：{list}。比值按每个样本计算。",
    "warn_uncounted": "<b>有 {n} 个算子无法计数</b>，因此所有总量都偏低：{list}",
    "warnings": "警告", "more": "另有 {n} 个",
    "n_batches": "批量", "h_batches": "批量每增加一份节省多少", "token": "词元",
    "l_batches": "每份的能量随批量的变化，两轴均为对数。色带是 90 % 区间；圆环是同一模型、同一机器、同一数制的已发表实测值。"
                 "本页其余部分以首先给出的批量为准。",
    "b_estimate": "估算", "b_predicted": "器件定律的预测", "b_short": "预测", "b_measured": "实测",
    "b_axis": "每{item}焦耳", "b_batch": "批量",
    "b_caption": "各批量下每{item}的焦耳数", "a_batches": "{device} 上每{item}焦耳数随批量的变化；数值见下表",
    "b_sees": "每一步生成一个词元，可见 {n} 个词元。",
    "b_server": "预测包含内核与服务软件，不含新请求的提示词。", "b_kernels": "预测包含逐个运行的内核。",
    "b_none": "没有预测：{why}。",
    "b_load": "实测来自有负载的服务器，请求长度为几百个词元：请用同样短的上下文比较。",
    "n_time": "时间", "h_time": "时间和功率花在哪里",
    "l_time": "宽度是时间，高度是功率，因此着色面积<em>就是</em>能量。每个方块是一个算子，颜色从乘法器由内向外排列。"
              "指向某个方块，或用 ← 和 → 逐个查看。",
    "l_time_static": "宽度是时间，高度是功率，因此着色面积<em>就是</em>能量。每个方块是一个算子，颜色从乘法器由内向外排列。",
    "in_time": "用时", "mean": "平均", "axis_time": "时间 →", "sheet_power": "标称 {x}",
    "a_sky": "{device}：功率随时间的变化，每个算子一个方块。用左右方向键逐个查看。",
    "chart": "图表", "a_read": "所选算子", "no_pick": "未选择算子", "close": "关闭",
    "n_parts": "能量", "h_parts": "焦耳花在哪里",
    "l_parts": "先按机器的部分，再按网络的模块：宽度就是能量。",
    "h_modules": "按模块", "a_icicle": "{device} 上各模块的能量；算子表中有相同的数值",
    "n_roof": "屋顶线", "h_roof": "每个算子受什么限制",
    "l_roof": "实线：本层级可达到的屋顶；虚线：数据手册。标记面积是其时间占比。"
              "<span class=\"nb\"><i class=\"key c\"></i>受限于运算</span> "
              "<span class=\"nb\"><i class=\"key m\"></i>受限于存储</span> "
              "<span class=\"nb\"><i class=\"key l\"></i>受限于启动</span>",
    "axis_ai": "每字节 {memory} 的运算次数 →", "n_compute": "{n} 个受限于运算",
    "n_memory": "{n} 个受限于存储", "n_launch": "{n} 个受限于启动", "ridge": "拐点为每字节 {x}",
    "reach": "可达 {x}", "reach_of": "标称 {y}，可达 {x}", "sheet": "标称 {x}", "unseen": "{n} 个无运算或无流量的算子未画出",
    "a_roof": "{device}：每秒运算次数与每字节运算次数；算子表列出每个算子的限制因素",
    "n_nests": "映射", "h_nests": "最耗能的层如何运行",
    "l_nests": "每张卡片是一级存储，最外层在前：在此运行的循环、其分块占用的容量，以及读写的字节数。"
               "这些循环嵌套经证明是所有方案中最优的。",
    "role_input": "输入", "role_weight": "权重", "role_output": "输出与部分和", "cycles": "周期",
    "busy": "的阵列在工作", "proven": "已证明最优", "gap": "至多高于最优值 {gap}",
    "tensors": "张量", "pes": "使用 {used} / {all} 个单元", "bypassed": "{role} 不经过此级",
    "n_levels": "层级", "h_levels": "多个层级，同一答案",
    "l_levels": "每深入一个层级，就多看到机器的一部分，成本只会增加。色带是 90 % 区间；本页使用粗体所示的层级。",
    "nominal": "标称值", "interval": "90 % 区间", "level_name": "层级",
    "warn_order": "在 {device} 上，{a} 高于 {b}：更深的层级不应更便宜。请报告此问题。",
    "n_why": "不确定度", "h_why": "答案取决于什么",
    "l_why": "一个数值移到自身 90 % 区间的两端、其余不变时，总量会移动多少。要缩小误差，请从第一行开始。",
    "price": "单价或速率", "effect": "对总量的影响", "swing": "摆幅", "minor": "另有 {n} 项影响更小",
    "still": "本估算中没有数值会改变能量。",
    "n_ops": "算子", "h_ops": "全部算子", "l_ops_js": "点击表头排序；选择一行会在所有图中标出该算子。",
    "l_ops": "按运行顺序排列。", "filter": "筛选", "filter_hint": "layer3、conv、启动…", "hits": "{m} 个中的 {n} 个",
    "operator": "算子", "kind": "种类", "mac": "MAC", "bound": "受限于", "total": "合计", "csv": "CSV", "json": "JSON",
    "a_csv": "以 CSV 下载表格", "a_json": "以 JSON 下载数据", "a_table": "算子表，可滚动",
    "caption": "每个算子的计数，以及在每台设备上的能量和时间", "of_total": "占总量 {x}",
    "b_compute": "运算", "b_launch": "启动", "b_nothing": "无", "moved": "经 {memory}", "share": "占比",
    "n_src": "来源", "h_src": "来源、说明与复现方法",
    "l_src": "本页用到的每个物理数值、到达其 90 % 区间两端的倍数、所含范围及其出处。",
    "h_prices": "单价：一次动作的能量", "h_rates": "速率与时间", "h_refs": "参考文献",
    "h_notes": "说明", "h_words": "用语", "h_repeat": "复现", "number": "数值名", "device": "设备",
    "value": "数值", "factor": "90 % 倍数", "known": "如何得知", "source": "来源", "exact": "精确",
    "a_src": "单价、速率及其来源，可滚动", "a_command": "复现本报告的命令",
    "stamp": "picojoule {version} · 层级 {level} · 种子 {seed} · {draws} 次抽样",
    "no_reference": "此键没有对应文字",
}  # fmt: skip

WORDS: Final[Mapping[str, Mapping[str, str]]] = {"en": _EN, "zh": _ZH}


def words(lang: str) -> Mapping[str, str]:
    """The sentences of `lang`. Raises InputError for a language that nobody has written yet."""
    if lang not in WORDS:
        raise InputError(
            f"no page in the language {lang!r}", expected=f"one of {', '.join(WORDS)}", example="--lang zh"
        )
    return WORDS[lang]
