CREATE TABLE half_way (id int);

INSERT INTO half_way
SELECT total / (id - 7) FROM orders;
