CREATE TABLE machines (id int PRIMARY KEY);
CREATE TABLE sales (id int PRIMARY KEY, machine_id int REFERENCES machines);
