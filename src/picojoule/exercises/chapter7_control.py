"""Chapters 6 and 7: decoding, the decoder itself, direct memory access."""

from ._findings import Findings
from ._task import Task, solves
from .chapter7_processor import processor, tell_machine


@solves("7.4")
def decoding(task: Task, findings: Findings) -> None:
    """MACs for each decoded instruction."""
    from picojoule.machine import exercise_7_4

    machine = processor(task)
    tell_machine(machine, findings)
    found = exercise_7_4(machine)
    for name, value in found.items():
        findings.put(name, value, "bit" if name.startswith("bits") else "MAC" if name == "macs" else "1")
    findings.put("cpu_instructions", 4 * found["macs"])
    findings.assume("a scalar CPU is counted at two loads, a multiplication and an addition for each MAC",
                    "标量 CPU 每次乘加按两次读取、一次乘、一次加计")  # fmt: skip
    findings.say(f"7.8 in four column blocks: {found['instructions']} words for {found['macs']:,} MACs, one decoding for "
                 f"{found['macs_per_instruction']:,.0f}; a scalar CPU decodes {4 * found['macs']:,}",
                 f"7.8 分四个列块：{found['instructions']} 条指令完成 {found['macs']:,} 次乘加，每次译码对应 "
                 f"{found['macs_per_instruction']:,.0f} 次；标量 CPU 要译码 {4 * found['macs']:,} 条")  # fmt: skip


@solves("7.6")
def dma(task: Task, findings: Findings) -> None:
    """Time of one strided move, ideal and with what a real bus adds."""
    from picojoule.machine import exercise_7_6

    machine = processor(task)
    tell_machine(machine, findings)
    rows, size, setup, burst = (task[name] for name in ("rows", "row_bytes", "setup", "burst"))
    for name, value in exercise_7_6(machine, rows, size, setup, burst).items():
        findings.put(name, value, "cycle")
    findings.say(f"t = setup + rows·ceil(row/burst)·burst / bandwidth: {setup} + {rows}·{-(-size // burst)}·{burst} / "
                 f"{float(machine.bus):g} = {findings.answers['with_setup'].value:g} cycles",
                 f"t = 启动 + 行数·⌈行/突发⌉·突发 / 带宽：{setup} + {rows}·{-(-size // burst)}·{burst} / "
                 f"{float(machine.bus):g} = {findings.answers['with_setup'].value:g} 周期")  # fmt: skip
    findings.say(f"rows one byte longer: {findings.answers['unaligned'].value:g}; one descriptor a row: "
                 f"{findings.answers['one_row_at_a_time'].value:g}",
                 f"每行多一个字节：{findings.answers['unaligned'].value:g}；每行一个描述符："
                 f"{findings.answers['one_row_at_a_time'].value:g}")  # fmt: skip


@solves("6.6")
def decoder(task: Task, findings: Findings) -> None:
    """The decoder, written from the table of the instruction set, and tried on a program."""
    from picojoule.machine import SPECS, column_blocks, decode, encode

    machine = processor(task)
    words = [
        encode(one) for code in column_blocks(machine, 32, 256, 128, task["blocks"]).sections.values() for one in code
    ]
    findings.put("instructions", len(SPECS))
    taken = len({spec.opcode for spec in SPECS.values()})
    findings.put("opcodes_refused", 16 - taken)
    findings.put("words_decoded", len(words))
    findings.put("encoded_again_equal", all(encode(decode(word)) == word for word in words))
    findings.show("states of the decoder", "译码单元的状态转移", (
        "fetch    -> word = program[pc]; pc += 1; decode",
        "decode   -> opcode = bits 0-3, of two that share one bit 8; not in the table: error(pc)",
        "fields   -> cut bits 8 up as the table says; any other bit set: error(pc)",
        "scalar?  -> loop: push (pc, count); endloop: back or pop;",
        "            step: add to the fields of the next word; sync: drain;",
        "            end: stop when the queues are empty; then fetch",
        "dispatch -> queue of its stream (io, move, compute), with tokens 4-7",
        "queue    -> head waits for its tokens, runs, signals; others go on",
    ))  # fmt: skip
    findings.show("table of the decoder", "译码表", (
        f"{spec.opcode:>2}  {spec.name:<8} {sum(field.bits for field in spec.fields):>3} bits: "
        + ", ".join(f"{field.name} {field.bits}" for field in spec.fields) for spec in SPECS.values()
    ))  # fmt: skip
    findings.say(f"{len(SPECS)} instructions take {taken} of 16 opcodes, {16 - taken} are refused; the {len(words)} words "
                 "of 7.8 decode, and encode to themselves",
                 f"{len(SPECS)} 条指令用了 16 个操作码中的 {taken} 个，其余 {16 - taken} 个报错；7.8 的 {len(words)} 个指令字"
                 "译码后再编码不变")  # fmt: skip
