# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the schema modules share: how they connect, how long they wait, what they return."""

from __future__ import annotations


class ModuleDocFragment:
    """Connection (the default part), and what applying means (part `apply`)."""

    DOCUMENTATION = r"""
options:
  login_db:
    description: The database.
    type: str
    required: true
  login_host:
    description:
      - Host name of the server; the module then connects over TCP, and O(login_unix_socket) is not used.
      - Use the server's own port. Through a connection pooler the module refuses to work.
    type: str
    default: ""
  login_port:
    description: The server's port.
    type: int
    default: 5432
  login_user:
    description: Role to connect as.
    type: str
    default: postgres
  login_password:
    description: Its password, over TCP.
    type: str
  login_unix_socket:
    description: Directory of the server's socket, where O(login_host) is empty.
    type: str
    default: /var/run/postgresql
  ssl_mode:
    description: How the server's certificate is checked, over TCP.
    type: str
    choices: [verify-full, verify-ca, require, disable]
    default: verify-full
  ca_cert:
    description: File with the certificates that the server's is checked against.
    type: path
  system_user:
    description: Operating system user whose peer identity is used on the socket, when the module runs as root.
    type: str
    default: postgres
  schema:
    description: Schema of tables whose names are given without one.
    type: str
    default: public
"""

    APPLY = r"""
options:
  session_role:
    description:
      - Role to act as after connecting (C(SET ROLE)). With the owner of the tables, functions that a definition calls
        run with the owner's rights instead of a superuser's.
    type: str
  search_path:
    description: Schemas in which names in expressions are looked up, behind the table's own.
    type: list
    elements: str
    default: [public]
  lock_timeout:
    description:
      - How long a change may wait for a strong lock, and so make others wait. It is then tried again, after at least as
        long a pause.
    type: str
    default: 2s
  lock_attempts:
    description: How often it is tried before the task fails, naming who held the lock.
    type: int
    default: 10
  build_wait:
    description:
      - How long a concurrent build may wait for older transactions (it has to outlive them), or for somebody else's build
        of the same object.
    type: str
    default: 10min
  run_wait:
    description: How long to wait for another run on the same database.
    type: str
    default: 1min
  purge:
    description:
      - Drop what this module once made and what is no longer declared. What others made is never dropped.
      - An index or constraint with this collection's comment that is not noted as made is a copy, and left with a warning;
        so is an index that is a replica identity. Views, policies and audit triggers go by their comment. A table that loses
        its last policy keeps its row security, and an audit log its entries.
    type: bool
    default: false
notes:
  - Definitions are compared in the server's own words, found by trying them on empty temporary copies of the tables, in a
    transaction that is rolled back. The role needs the right to create temporary tables. Event triggers see these trials.
  - What the module makes carries C(managed by pgstead.ops) in its comment, and is remembered in the schema C(pgstead) of
    the database, so that what somebody else dropped is reported as drift when it is made again.
  - A run that was interrupted, wherever, is finished by the next.
"""
