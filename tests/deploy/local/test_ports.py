"""Ports: one card, moved by the environment, refused in one sentence when busy."""

from __future__ import annotations

import socket

import pytest

from deploy.local.errors import LocalStackError, PortBusyError
from deploy.local.ports import FREE_RANGE, fixed_ports, free_port, free_ports, is_free, refuse_busy, variable
from deploy.local.stack import SERVICES


def test_every_part_has_a_documented_port():
    ports = fixed_ports()
    assert {*SERVICES, "kafka", "kafka_controller", "postgres", "valkey"} == set(ports)
    assert len(set(ports.values())) == len(ports)


def test_the_environment_moves_a_port(monkeypatch):
    monkeypatch.setenv(variable("gateway"), "28080")
    assert fixed_ports()["gateway"] == 28080
    assert free_ports()["gateway"] == 28080


@pytest.mark.parametrize("text", ["0", "65536", "-1", "http", "80.5"])
def test_what_is_no_port_is_refused(monkeypatch, text):
    monkeypatch.setenv(variable("kafka"), text)
    with pytest.raises(
        LocalStackError, match=f"TERRITORIALE_PORT_KAFKA={text} is not a port; give a number from 1 to 65535"
    ):
        fixed_ports()


def test_free_ports_are_free_and_different():
    ports = free_ports()
    assert all(is_free(port) and port in range(*FREE_RANGE) for port in ports.values())
    assert len(set(ports.values())) == len(ports)


def test_a_busy_port_is_named_with_its_user_and_the_way_out():
    with socket.create_server(("127.0.0.1", free_port())) as server:
        port = server.getsockname()[1]
        with pytest.raises(
            PortBusyError, match=rf"Port {port}, where kafka should listen, is used by .*TERRITORIALE_PORT_KAFKA"
        ):
            refuse_busy({"kafka": port})


def test_all_busy_ports_are_named_at_once():
    with socket.create_server(("127.0.0.1", free_port())) as one, socket.create_server(("127.0.0.1", 0)) as other:
        ports = {"kafka": one.getsockname()[1], "valkey": other.getsockname()[1]}
        with pytest.raises(PortBusyError, match=r"TERRITORIALE_PORT_KAFKA.*TERRITORIALE_PORT_VALKEY"):
            refuse_busy(ports)


def test_two_parts_do_not_share_a_port():
    with pytest.raises(PortBusyError, match="query and gateway are both given port 20001"):
        refuse_busy({"gateway": 20001, "query": 20001})
